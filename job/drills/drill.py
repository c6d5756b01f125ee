"""A whole drill: a log and a bundle, the control run, a run for each fault, and the verdict."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from job.cluster import stop
from job.drills.drill_log import SMOKE, Scale, make_dataset, train_bundle, write_log
from job.drills.errors import DrillError
from job.drills.faults import Fault
from job.drills.live import Setup
from job.drills.report import write_report
from job.drills.run import run_control, run_fault
from job.drills.verdict import CONTROL, Verdict, judge_control, judge_fault
from job.trial import Say

_MARK = "drill.txt"
_MARK_TEXT = "Made by recloop drill, and replaced by the next one.\n"


def run_drill(faults: Sequence[Fault], out: Path, say: Say, scale: Scale = SMOKE) -> Verdict:
    """Runs control and faults one after the other, and writes verdict.json and report.md.

    Args:
        faults: what to inject, a run each.
        out: folder of all that is made; that of an earlier drill is replaced.
        say: told in a few words what is being done.
        scale: how large the log is.

    Raises:
        DrillError: the drill did not come to its verdict.
        ClusterError: as DrillError.
        DeployError: as DrillError.
    """
    out = out.absolute()
    make_room(out)
    setup = prepare(scale, out / "setup", say)
    control = run_control(setup, out / CONTROL, _about(CONTROL, say))
    judged = []
    for fault in faults:
        struck = run_fault(setup, out / fault.name, fault, _about(fault.name, say))
        outputs = (struck.output, control)
        judged.append(judge_fault(fault.name, struck.injected.what, outputs, struck.recovery, fault.expects))
    verdict = Verdict(judge_control(control), judged)
    verdict.to_file(out / "verdict.json")
    write_report(verdict, out / "report.md")
    return verdict


def prepare(scale: Scale, folder: Path, say: Say) -> Setup:
    """The log that every run gets a copy of, and the bundle they all serve."""
    say("making a log")
    dataset = make_dataset(scale, folder / "data")
    records = write_log(dataset, scale, folder / "log")
    say("training a small bundle")
    train_bundle(dataset, folder / "bundle")
    return Setup(scale, folder / "log", records, folder / "bundle")


def make_room(out: Path) -> None:
    """Empties the folder of an earlier drill, whose clusters are stopped; other folders are left alone."""
    if out.exists() and any(out.iterdir()) and not (out / _MARK).exists():
        msg = f"{out} holds something that is no drill's: give a new folder with --out"
        raise DrillError(msg)
    for left in out.glob("*/cluster"):
        stop(left)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    (out / _MARK).write_text(_MARK_TEXT)


def _about(run: str, say: Say) -> Say:
    return lambda news: say(f"{run}: {news}")

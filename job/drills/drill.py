"""A whole drill: a log and a bundle, the control run, a run for each fault, and the verdict."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from job.cluster import stop
from job.drills.drill_log import SMOKE, Scale, make_dataset, train_bundle, write_log
from job.drills.faults import FAULTS, Fault
from job.drills.live import Setup
from job.drills.report import write_report
from job.drills.run import run_control, run_fault
from job.drills.verdict import CONTROL, Verdict, judge_control, judge_fault
from job.trial import Say
from model.folders import FolderKind, claim_folder

_OUT = FolderKind("a drill's folder", "drill.txt", frozenset(), ())
"""The proof is of versions that wrote no marker."""
_SETUP, _VERDICT, _REPORT = "setup", "verdict.json", "report.md"


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
    setup = prepare(scale, out / _SETUP, say)
    control = run_control(setup, out / CONTROL, _about(CONTROL, say))
    judged = []
    for fault in faults:
        struck = run_fault(setup, out / fault.name, fault, _about(fault.name, say))
        outputs = (struck.output, control)
        judged.append(judge_fault(fault.name, struck.injected.what, outputs, struck.recovery, fault.expects))
    verdict = Verdict(judge_control(control), judged)
    verdict.to_file(out / _VERDICT)
    write_report(verdict, out / _REPORT)
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
    """Removes what an earlier drill made in the folder, whose clusters are stopped; what else is there stays.

    Raises:
        NotOursError: it is no drill's folder.
    """
    claim_folder(out, _OUT)
    for name in (_SETUP, CONTROL, *FAULTS):
        stop(out / name / "cluster")
        shutil.rmtree(out / name, ignore_errors=True)
    for name in (_VERDICT, _REPORT):
        (out / name).unlink(missing_ok=True)


def _about(run: str, say: Say) -> Say:
    return lambda news: say(f"{run}: {news}")

"""A whole drill: a log and a bundle, the control run, a run for each fault, and the verdict."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from job.cluster import stop
from job.cluster.running import Progress
from job.drills.drill_log import SMOKE, Scale, make_dataset, train_bundle, write_log
from job.drills.faults import FAULTS, Fault
from job.drills.live import Setup
from job.drills.report import write_report
from job.drills.run import run_control, run_fault
from job.drills.verdict import CONTROL, Verdict, judge_control, judge_fault
from model.folders import FolderKind, claim_folder

_OUT = FolderKind("a drill's folder", "drill.txt", frozenset(), ())
"""Folders of versions that wrote no marker are recognised by drill.txt."""
_SETUP, _VERDICT, _REPORT = "setup", "verdict.json", "report.md"


def run_drill(faults: Sequence[Fault], out: Path, report: Progress, scale: Scale = SMOKE) -> Verdict:
    """Run the control and each fault one after the other, and write verdict.json and report.md.

    Args:
        faults: the faults to inject, each in its own run.
        out: the folder of all files; the results of an earlier drill are replaced.
        report: called at each step with a few words.
        scale: the sizes of the drill.

    Raises:
        DrillError: the drill did not reach a verdict.
        ClusterError: likewise, because of the cluster.
        DeployError: likewise, because of the deployment.
    """
    out = out.absolute()
    make_room(out)
    setup = prepare(scale, out / _SETUP, report)
    control = run_control(setup, out / CONTROL, _about(CONTROL, report))
    judged = []
    for fault in faults:
        run = run_fault(setup, out / fault.name, fault, _about(fault.name, report))
        outputs = (run.output, control)
        judged.append(judge_fault(fault.name, run.injected.description, outputs, run.recovery, fault.expects))
    verdict = Verdict(judge_control(control), judged)
    verdict.to_file(out / _VERDICT)
    write_report(verdict, out / _REPORT)
    return verdict


def prepare(scale: Scale, folder: Path, report: Progress) -> Setup:
    """Make the log that every run gets a copy of, and the bundle that they all serve."""
    report("making a log")
    dataset = make_dataset(scale, folder / "data")
    records = write_log(dataset, scale, folder / "log")
    report("training a small bundle")
    train_bundle(dataset, folder / "bundle")
    return Setup(scale, folder / "log", records, folder / "bundle")


def make_room(out: Path) -> None:
    """Stop the clusters of an earlier drill in the folder and remove its files; other files stay.

    Raises:
        NotOursError: it is no drill's folder.
    """
    claim_folder(out, _OUT)
    for name in (_SETUP, CONTROL, *FAULTS):
        stop(out / name / "cluster")
        shutil.rmtree(out / name, ignore_errors=True)
    for name in (_VERDICT, _REPORT):
        (out / name).unlink(missing_ok=True)


def _about(name: str, report: Progress) -> Progress:
    return lambda news: report(f"{name}: {news}")

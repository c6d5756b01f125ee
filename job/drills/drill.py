"""A whole drill: a log and a bundle, the control run, runs with the faults, and the verdict."""

import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from job.cluster import stop
from job.cluster.running import Progress
from job.deployment.shipping import PROJECT
from job.drills.combinations import parse
from job.drills.drill_log import SMOKE, Scale, make_dataset, train_bundle, write_log
from job.drills.environment import environment
from job.drills.evidence import Output
from job.drills.faults import Fault
from job.drills.gate import Gate
from job.drills.judging import judge_run
from job.drills.plan import Plan, plan
from job.drills.report import FILES, write_reports
from job.drills.run import run_control, run_faults
from job.drills.site import Setup
from job.drills.smallest import smallest_failing
from job.drills.surroundings import clear
from job.drills.verdict import CONTROL, Case, Judged, Verdict, judge, not_injected, skipped
from model.errors import RecloopError
from model.folders import FolderKind, claim_folder

_OUT = FolderKind("a drill's folder", "drill.txt", frozenset(), ())
"""Folders of versions that wrote no marker are recognised by drill.txt."""
_SETUP = "setup"
_RUN = "run-"
_SMALLER = "smaller-"


def run_drill(
    faults: Sequence[Fault], out: Path, report: Progress, scale: Scale = SMOKE, code: Path = PROJECT
) -> Verdict:
    """Run the control, and then inject the faults one after the other, and write the verdict and its reports.

    Faults share a job as long as it recovers from each; after one that it does not recover from, the next ones get a
    new cluster.

    Args:
        faults: the faults to inject.
        out: the folder of all files; the results of an earlier drill are replaced.
        report: called at each step with a few words.
        scale: the sizes of the drill.
        code: the folder that holds the packages of the deployed job.

    Raises:
        DrillError: the drill did not reach a verdict.
        ClusterError: likewise, because of the cluster.
        DeployError: likewise, because of the deployment.
    """
    out = out.absolute()
    make_room(out)
    report("finding out what this machine allows")
    left_out = [skipped(fault.name, why) for fault in faults if (why := fault.unavailable())]
    planned = plan([fault for fault in faults if fault.name not in {each.name for each in left_out}])
    setup = replace(prepare(scale, planned, out / _SETUP, report), code=code)
    control = run_control(setup, out / CONTROL, _about(CONTROL, report))
    judged = list(_judged(setup, planned, control, out, report))
    judged = [each if each.ok else _with_smallest(each, setup, control, out, report) for each in judged]
    judged += left_out
    verdict = Verdict(judge(Case(output=control, planted=setup.log.planted)), judged, environment(scale))
    write_reports(verdict, out)
    return verdict


def prepare(scale: Scale, planned: Plan, folder: Path, report: Progress) -> Setup:
    """Make the log that every run gets a copy of, and the bundle that they all serve."""
    # Imported here: torch takes seconds.
    from job.drills.gated_model import write_gated

    report("making a log")
    dataset = make_dataset(scale, folder / "data", planned.segments)
    log = write_log(dataset, scale, folder / "log", planned.segments, planned.flooded)
    report("training a small bundle")
    gate = Gate(folder / "gate")
    gate.open()
    trained = train_bundle(dataset, folder / "trained")
    bundle = write_gated(trained, folder / "bundle", gate.path)
    return Setup(scale, log, bundle.path, trained.path, gate)


def make_room(out: Path) -> None:
    """Stop the clusters of an earlier drill in the folder and remove its files; other files stay.

    Raises:
        NotOursError: it is no drill's folder.
    """
    claim_folder(out, _OUT)
    smaller = list(out.glob(f"{_SMALLER}*"))
    runs = (*out.glob(f"{_RUN}*"), *out.glob("kill-task-manager"), *(run for each in smaller for run in each.iterdir()))
    for folder in (out / _SETUP, out / CONTROL, *runs, *smaller):
        stop(folder / "cluster")
        clear(folder)
        shutil.rmtree(folder, ignore_errors=True)
    for name in FILES:
        (out / name).unlink(missing_ok=True)


def _judged(setup: Setup, planned: Plan, control: Output, out: Path, report: Progress) -> Iterator[Judged]:
    """Yield the judgement on each fault; a job that broke is left, and the faults after it get another."""
    waiting = list(planned.runs)
    number = 0
    while waiting:
        faults, number, done = waiting.pop(0), number + 1, 0
        name = f"{_RUN}{number}"
        runs = run_faults(setup, out / name, faults, _about(name, report))
        try:
            with closing(runs):
                for run in runs:
                    judged = judge_run(setup, control, run, faults[done][1])
                    done += 1
                    yield judged
                    if not judged.ok:
                        break
        except (RecloopError, OSError) as error:
            if done == len(faults):  # after the last fault, something was found that spoils them all
                raise
            yield not_injected(faults[done][0].name, str(error))
            done += 1
        if done < len(faults):
            waiting.insert(0, faults[done:])


def _with_smallest(judged: Judged, setup: Setup, control: Output, out: Path, report: Progress) -> Judged:
    """Return the judgement on what failed, of a combination with the smallest part that does."""
    combination = parse(judged.name)
    if len(combination) == 1 or judged.recovery is None:
        return judged
    number = 1 + len(list(out.glob(f"{_SMALLER}*")))
    folder = out / f"{_SMALLER}{number}"
    found = smallest_failing(setup, control, combination, folder, _about(folder.name, report))
    return replace(judged, smallest=found)


def _about(name: str, report: Progress) -> Progress:
    return lambda news: report(f"{name}: {news}")

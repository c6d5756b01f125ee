"""The smallest part of a combination that still fails, found by runs of their own."""

from contextlib import closing
from itertools import count
from pathlib import Path

from job.cluster.running import Progress
from job.drills.combinations import Combination, shrink, text_of
from job.drills.combined import combined
from job.drills.evidence import Output
from job.drills.judging import judge_run
from job.drills.run import run_faults
from job.drills.site import Setup
from model.errors import RecloopError


def smallest_failing(setup: Setup, control: Output, combination: Combination, folder: Path, report: Progress) -> str:
    """Return the text of the smallest combination that fails, each tried on a new cluster in FOLDER/NUMBER.

    Args:
        setup: what all runs share.
        control: the tables of the run without a fault.
        combination: one that fails.
        folder: the folder of the runs.
        report: called at each step.
    """
    numbers = count(1)

    def fails(candidate: Combination) -> bool:
        report(f"does {text_of(candidate)} fail too?")
        runs = run_faults(setup, folder / str(next(numbers)), [(combined(candidate), 0)], report)
        try:
            with closing(runs):
                return not judge_run(setup, control, next(runs), 0).ok
        except (RecloopError, OSError):  # it could not be injected, which is no answer
            return False

    return text_of(shrink(combination, fails))

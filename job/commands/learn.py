"""`recloop learn`: a model that keeps learning beside the job, and is promoted only where a gate holds."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from job.commands.options import (
    LONGEST_S,
    AsJson,
    Overrides,
    SettingsFile,
    Threads,
    stop_on_errors,
    terminated_as_interrupted,
)
from job.commands.output import print_line
from job.commands.training import TrainingProgress, use_threads
from job.settings.job_settings import load
from model.errors import RecloopError

if TYPE_CHECKING:
    from collections.abc import Callable

    from job.learning.learner import Learner
    from udfs.rows import ModelUpdateRow

EXAMPLES = """
Examples:

recloop learn --set models.url=.recloop/registry --set models.name=mine

recloop learn -s job.toml --once

recloop learn -s job.toml --set learn.every=PT15M --set learn.behaviors=2000 --set learn.held_out=500

recloop sql "select decision, model_version, ndcg, served_ndcg, reason from model_updates order by decision_number"
"""
_VERBS = {"promoted": "promoted", "refused": "refused", "rolled_back": "rolled back"}


def learn(
    settings_file: SettingsFile = None,
    overrides: Overrides = None,
    once: Annotated[
        bool, typer.Option("--once", help="Follow the log, decide all that is due, and end: for cron.")
    ] = False,
    poll: Annotated[
        float, typer.Option(min=0.01, max=LONGEST_S, help="Seconds from one look at the log to the next.")
    ] = 5.0,
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Follow the log, fine-tune what serves on what is new, and promote it only if it is surely not worse.

    Give the settings of the job: its log, its tables, and its registry's model (models.url and models.name), which the
    job follows. The settings learn.* are the pace and the bounds. Each decision is a line here and a row of the table
    model_updates. A promotion whose live hit rate falls is taken back. Ctrl-C ends it; the next start goes on.
    """
    with stop_on_errors(), terminated_as_interrupted():
        job = load(settings_file, overrides or (), needs_model=False).resolved()
        use_threads(threads)
        from job.learning.learner import Learner  # imports torch

        with (
            TrainingProgress() as progress,
            closing(Learner(job, progress=progress)) as learner,
            learner.folder.locked(),
        ):
            _run(learner, lambda row: _print(row, as_json=as_json), None if once else poll, progress)


def _run(
    learner: Learner, show: Callable[[ModelUpdateRow], None], poll_s: float | None, progress: TrainingProgress
) -> None:
    """Step until nothing is due, or for ever with a pause of `poll_s` seconds, and outlast what fails by then."""
    problem = None
    row = learner.step()  # what is wrong from the beginning ends the command
    while True:
        if row is not None:
            show(row)
        elif not learner.is_behind:
            if poll_s is None:
                return
            progress("following the log")
            time.sleep(poll_s)
        try:
            row, problem = learner.step(), None
        except (RecloopError, OSError) as error:
            if poll_s is None:
                raise
            if str(error) != problem:
                print_line(f"tried again until it works: {error}", err=True)
            row, problem = None, str(error)
            learner.close()  # the log is opened anew
            time.sleep(poll_s)


def _print(row: ModelUpdateRow, *, as_json: bool) -> None:
    if as_json:
        print_line(msgspec.json.encode(row).decode())
        return
    print_line(f"{row.model} {row.model_version} is {_VERBS[row.decision]}: {row.reason}; {row.cpu_s:.1f} s of CPU")

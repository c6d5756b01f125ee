"""`recloop drill`: faults made on purpose in a running job, and a verdict on the recovery."""

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.status import Status
from rich.table import Table
from rich.text import Text

from job.commands.options import AsJson, console, terminated_as_interrupted
from job.commands.output import print_line
from job.drills.combinations import draw, text_of
from job.drills.combined import TRAITS, is_combined, named
from job.drills.drill import run_drill
from job.drills.drill_log import CHAOS, SMOKE
from job.drills.faults import FAULTS, SMOKE_FAULTS, Fault
from job.drills.goals import COLUMNS as TIMES_COLUMNS
from job.drills.goals import GOALS_S, TIMES, measured
from job.drills.report import COLUMNS, cells, complaints, to_json
from job.drills.verdict import QUESTIONS, Verdict
from model.errors import RecloopError

_CANT_RUN = (RecloopError, OSError)
_NOT_RUN = 2
_BROKEN_OFF = 130


def drill(
    smoke: Annotated[bool, typer.Option("--smoke", help="The control run, and three faults: a few minutes.")] = False,
    fault: Annotated[
        list[str] | None,
        typer.Option("--fault", metavar="NAME", help="A fault from --list, or a combination of some; repeatable."),
    ] = None,
    times: Annotated[
        bool,
        typer.Option("--times", help="Each fault that has a goal for its recovery, five times: the median and worst."),
    ] = False,
    chaos: Annotated[int, typer.Option(min=0, max=1_000, help="Number of combinations of faults to draw.")] = 0,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="What they are drawn from.")] = 7,
    every: Annotated[bool, typer.Option("--all", help="All faults there are: up to 40 minutes.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for all that it makes; an earlier drill's is replaced.")] = Path(
        ".recloop/drill"
    ),
    listing: Annotated[bool, typer.Option("--list", help="Show the faults there are.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the job undisturbed and with faults over the same log, on clusters of its own, and compare the outcomes.

    A combination is written as its faults, each later one with when it strikes: "kill-leader +1.5 kill-python-worker"
    is 1.5 s after the one before, and with ">1.5" that long after the recovery from it. --chaos draws some; of one that
    fails, the smallest part that fails is found, with the command that repeats it.

    The folder gets verdict.json, report.html with a timeline of each fault, junit.xml, and the clusters' logs.

    Exit code 0: everything holds. 1: something does not. 2: the drill could not be run.
    """
    if listing:
        _list(as_json=as_json)
        return
    names = list(dict.fromkeys([*(SMOKE_FAULTS if smoke else ()), *(fault or ()), *(FAULTS if every else ())]))
    names += [name for name in GOALS_S for _ in range(TIMES if times else 0)]
    drawn = list(map(text_of, draw(seed, chaos, TRAITS)))
    faults = _named([*names, *drawn])
    if drawn:
        console.print(f"drawn by --chaos {chaos} --seed {seed}:", *drawn, sep="\n  ", highlight=False)
    began = time.monotonic()
    with _exit_codes(), console.status("drill") as spinner:
        phases = _Phases(spinner)
        verdict = run_drill(faults, out, phases, CHAOS if any(map(is_combined, faults)) else SMOKE)
        phases.close()
    _show(verdict, out, time.monotonic() - began)
    if as_json:
        print_line(json.dumps(to_json(verdict), indent=2))
    raise typer.Exit(0 if verdict.ok else 1)


def _list(*, as_json: bool) -> None:
    if as_json:
        print_line(json.dumps({each.name: each.doc for each in FAULTS.values()}))
        return
    table = Table("fault", "what it does")
    for each in FAULTS.values():
        table.add_row(each.name, each.doc)
    console.print(table)


def _named(names: Sequence[str]) -> list[Fault]:
    """Return the faults and combinations of these names."""
    if not names:
        _fail("say what to run: --smoke, --all, --times, --chaos N, or --fault NAME (--list shows the names)")
    try:
        return [named(name) for name in names]
    except ValueError as error:
        _fail(error)


def _fail(message: object) -> NoReturn:
    console.print(str(message), style="red")
    raise typer.Exit(_NOT_RUN)


@contextmanager
def _exit_codes() -> Iterator[None]:
    """Exit with 2 if the drill can't be run, whatever the cause; 1 would mean that recovery failed."""
    try:
        with terminated_as_interrupted():
            yield
    except _CANT_RUN as error:
        _fail(error)
    except KeyboardInterrupt:
        console.print("Stopped; nothing runs on.")
        raise typer.Exit(_BROKEN_OFF) from None
    except Exception:  # a bug, whose trace is shown
        console.print_exception()
        raise typer.Exit(_NOT_RUN) from None


class _Phases:
    """The display of the work at hand and of the duration of each run."""

    def __init__(self, spinner: Status) -> None:
        self._spinner = spinner
        self._run = ""
        self._began = 0.0

    def __call__(self, news: str) -> None:
        run = news.partition(":")[0]
        if run != self._run:
            self.close()
            self._run, self._began = run, time.monotonic()
        self._spinner.update(news)

    def close(self) -> None:
        """Print the duration of the last run."""
        if self._run:
            console.print(f"{self._run}: {time.monotonic() - self._began:.1f} s", style="dim", highlight=False)


def _show(verdict: Verdict, out: Path, seconds: float) -> None:
    runs = (verdict.control, *verdict.faults)
    table = Table(*COLUMNS[: -len(QUESTIONS)], "broken")
    for run in runs:
        broken = ", ".join(name for name, finding in run.findings.items() if finding.holds is False)
        table.add_row(*cells(run)[: -len(QUESTIONS)], broken or "none")
    console.print(table)
    if found := list(measured(verdict.faults)):
        times = Table(*TIMES_COLUMNS)
        for each in found:
            times.add_row(*each.cells())
        console.print(times)
    for run in (run for run in runs if run.is_skipped):
        console.print(f"{run.name} was left out: {run.description}", style="yellow", highlight=False)
    for line in (line for run in runs for line in complaints(run)):
        console.print(line, style="red")
    answer = ("Everything holds", "green") if verdict.ok else ("Not everything holds", "red")
    console.print(Text.assemble(answer, f", in {seconds:.0f} s; {out / 'report.html'} has it all"))

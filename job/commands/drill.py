"""`recloop drill`: faults made on purpose in a running job, and a verdict on the recovery."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.status import Status
from rich.table import Table
from rich.text import Text

from job.commands.options import AsJson, console, terminated_as_interrupted
from job.commands.output import print_line
from job.drills.drill import run_drill
from job.drills.faults import FAULTS, SMOKE_FAULTS
from job.drills.report import COLUMNS, cells, complaints
from job.drills.verdict import QUESTIONS, Verdict
from model.errors import RecloopError

_CANT_RUN = (RecloopError, OSError)
_NOT_RUN = 2
_BROKEN_OFF = 130


def drill(
    smoke: Annotated[bool, typer.Option("--smoke", help="The control run, and three faults: a few minutes.")] = False,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", metavar="NAME", help="A fault from --list; repeatable.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="All faults there are: up to 40 minutes.")] = False,
    out: Annotated[Path, typer.Option(help="Folder for all that it makes; an earlier drill's is replaced.")] = Path(
        ".recloop/drill"
    ),
    listing: Annotated[bool, typer.Option("--list", help="Show the faults there are.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the job undisturbed and with faults over the same log, on clusters of its own, and compare the outcomes.

    The folder gets verdict.json, report.html with a timeline of each fault, junit.xml, and the clusters' logs.

    Exit code 0: everything holds. 1: something does not. 2: the drill could not be run.
    """
    if listing and as_json:
        print_line(json.dumps({each.name: each.doc for each in FAULTS.values()}))
        return
    if listing:
        table = Table("fault", "what it does")
        for each in FAULTS.values():
            table.add_row(each.name, each.doc)
        console.print(table)
        return
    names = dict.fromkeys([*(SMOKE_FAULTS if smoke else ()), *(fault or ()), *(FAULTS if every else ())])
    if not names:
        _fail("say what to run: --smoke, --all, or --fault NAME (--list shows the names)")
    if unknown := [name for name in names if name not in FAULTS]:
        _fail(f"there is no fault {unknown[0]!r}; there are: {', '.join(FAULTS)}")
    began = time.monotonic()
    with _exit_codes(), console.status("drill") as spinner:
        phases = _Phases(spinner)
        verdict = run_drill([FAULTS[name] for name in names], out, phases)
        phases.close()
    _show(verdict, out, time.monotonic() - began)
    if as_json:
        print_line(json.dumps(verdict.to_json(), indent=2))
    raise typer.Exit(0 if verdict.ok else 1)


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
    for line in (line for run in runs for line in complaints(run)):
        console.print(line, style="red")
    answer = ("Everything holds", "green") if verdict.ok else ("Not everything holds", "red")
    console.print(Text.assemble(answer, f", in {seconds:.0f} s; {out / 'report.html'} has it all"))

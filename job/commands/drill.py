"""`recloop drill`: faults made on purpose in a running job, and a verdict on the recovery."""

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, NoReturn

import typer
from rich.status import Status
from rich.table import Table
from rich.text import Text

from job.commands.options import AsJson, console
from job.commands.output import say
from job.drills.drill import run_drill
from job.drills.faults import FAULTS, SMOKE_FAULTS, Fault
from job.drills.report import COLUMNS, cells, complaints
from job.drills.verdict import QUESTIONS, Verdict
from model.errors import RecloopError

_CANT_RUN = (RecloopError, OSError)
_NOT_RUN = 2
_BROKEN_OFF = 130


def drill(
    smoke: Annotated[bool, typer.Option("--smoke", help="The control run, and a TaskManager killed.")] = False,
    fault: Annotated[
        list[str] | None, typer.Option("--fault", metavar="NAME", help="A fault from --list; repeatable.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for all that it makes; an earlier drill's is replaced.")] = Path(
        ".recloop/drill"
    ),
    listing: Annotated[bool, typer.Option("--list", help="Show the faults there are.")] = False,
    as_json: AsJson = False,
) -> None:
    """Run the job undisturbed and with faults over the same log, on clusters of its own, and compare the outcomes.

    Exit code 0: everything holds. 1: something does not. 2: the drill could not be run.
    """
    if listing:
        _list(as_json=as_json)
        return
    faults = _chosen(smoke=smoke, names=fault or ())
    began = time.monotonic()
    with _told(), _phases() as on_phase:
        verdict = run_drill(faults, out, on_phase)
    _show(verdict, out, time.monotonic() - began)
    if as_json:
        say(json.dumps(verdict.to_json(), indent=2))
    raise typer.Exit(0 if verdict.ok else 1)


def _chosen(*, smoke: bool, names: list[str] | tuple[str, ...]) -> list[Fault]:
    wanted = dict.fromkeys([*(SMOKE_FAULTS if smoke else ()), *names])
    if not wanted:
        _fail("say what to run: --smoke, or --fault NAME (--list shows the names)")
    if unknown := [name for name in wanted if name not in FAULTS]:
        _fail(f"there is no fault {unknown[0]!r}; there are: {', '.join(FAULTS)}")
    return [FAULTS[name] for name in wanted]


def _list(*, as_json: bool) -> None:
    if as_json:
        say(json.dumps({fault.name: fault.doc for fault in FAULTS.values()}))
        return
    table = Table("fault", "what it does")
    for fault in FAULTS.values():
        table.add_row(fault.name, fault.doc)
    console.print(table)


def _fail(message: object) -> NoReturn:
    console.print(str(message), style="red")
    raise typer.Exit(_NOT_RUN)


@contextmanager
def _told() -> Iterator[None]:
    """Exit with 2 if the drill can't be run, whatever the cause; 1 would mean that recovery failed."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except _CANT_RUN as error:
        _fail(error)
    except KeyboardInterrupt:
        console.print("Stopped; nothing runs on.")
        raise typer.Exit(_BROKEN_OFF) from None
    except Exception:  # a bug, whose trace is shown
        console.print_exception()
        raise typer.Exit(_NOT_RUN) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """End a drill on SIGTERM as on Ctrl-C, so that its clusters are stopped."""
    raise KeyboardInterrupt


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


@contextmanager
def _phases() -> Iterator[_Phases]:
    with console.status("drill") as spinner:
        phases = _Phases(spinner)
        yield phases
        phases.close()


def _show(verdict: Verdict, out: Path, seconds: float) -> None:
    runs = (verdict.control, *verdict.faults)
    table = Table(COLUMNS[0], *(cells(run)[0] for run in runs))
    for name, *told in list(zip(COLUMNS, *map(cells, runs), strict=True))[1:]:
        table.add_row(f"{name} {QUESTIONS.get(name, '')}".strip(), *told)
    console.print(table)
    for line in (line for run in runs for line in complaints(run)):
        console.print(line, style="red")
    answer = ("Everything holds", "green") if verdict.ok else ("Not everything holds", "red")
    console.print(Text.assemble(answer, f", in {seconds:.0f} s; {out / 'verdict.json'} has it all"))

"""`recloop bench`: the job measured against the model alone, its peers and its goals."""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from job.bench.errors import BenchError
from job.bench.parts import PARTS
from job.bench.report import grids, notes
from job.bench.results import Kept, Results, figures, void_reasons
from job.bench.run import Bench, run_bench
from job.bench.scale import FULL, QUICK, SMALLEST
from job.commands.options import Overrides, console, fail, stop_on_errors, terminated_as_interrupted
from job.commands.output import Screen
from job.settings.job_settings import load
from job.tables.errors import TablesError
from model.pictures import NO_PICTURES, can_draw

_SCALES = {scale.name: scale for scale in (FULL, QUICK, SMALLEST)}
_VERDICTS = {"reached": "green", "first step reached": "yellow", "not reached": "red"}


def bench(
    quick: Annotated[bool, typer.Option("--quick", help="Shorter times, fewer samples and users: 15 minutes.")] = False,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="PART", help=f"Repeatable; of {', '.join(PARTS)}.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of results, report.md and pictures.")] = Path(".recloop/bench"),
    json_file: Annotated[
        Path | None,
        typer.Option(
            "--json", metavar="FILE", help="The figures, by name; those of each part are in the folder of --out."
        ),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="Where models run, as scoring.device: cuda, or a certain one, cuda:1.")
    ] = None,
    overrides: Overrides = None,
    size: Annotated[str, typer.Option(hidden=True, help="full, quick or smallest.")] = "full",
) -> None:
    """Measure the job on this machine, beside the model alone, plain PyFlink, Quix Streams and a plain loop.

    It needs a quiet machine: ratios within one run are meaningful, absolute figures hardly. Parts that --only leaves
    out keep the figures of an earlier run into the same folder. Ctrl-C leaves nothing running.
    """
    parts = tuple(only or PARTS)
    if unknown := [name for name in parts if name not in PARTS]:
        fail(f"there is no part {unknown[0]!r}; there are: {', '.join(PARTS)}")
    if size not in _SCALES:
        fail(f"--size is one of {', '.join(_SCALES)}, not {size}")
    with stop_on_errors():
        load(overrides=[f"scoring.device={device}"] if device else (), needs_model=False)
    given = (*([f"scoring.device={device}"] if device else ()), *(overrides or ()))
    asked = Bench(QUICK if quick else _SCALES[size], out, parts, given)
    began = time.monotonic()
    with _stopped_cleanly(), console.status("bench") as spinner:
        results, kept = run_bench(
            asked,
            spinner.update,
            lambda part, seconds: console.print(f"{part}: {seconds:.0f} s", style="dim", highlight=False),
        )
    _show(results, kept)
    if json_file is not None:
        _write_json(json_file, results, kept)
    made = "report.md, pictures" if can_draw() else "report.md"
    console.print(f"In {time.monotonic() - began:.0f} s; {out} has {made} and all figures.")
    if not can_draw():
        console.print(NO_PICTURES)


def _write_json(file: Path, results: Results, kept: Mapping[str, Kept]) -> None:
    report = {
        **figures(results),
        "void": void_reasons(results),
        "scales": {name: each.scale for name, each in kept.items()},
        "one_run": len({each.run for each in kept.values()}) == 1,
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"{json.dumps(report, indent=2)}\n")


@contextmanager
def _stopped_cleanly() -> Iterator[None]:
    """Turn expected errors into one message; end on SIGTERM as on Ctrl-C, with all that the bench started."""
    try:
        with terminated_as_interrupted(), stop_on_errors():
            yield
    except (BenchError, TablesError) as error:
        fail(error)
    except KeyboardInterrupt:
        console.print("Stopped; nothing runs on. Finished parts are kept.")
        raise typer.Exit(130) from None


def _show(results: Results, kept: dict[str, Kept]) -> None:
    screen = Screen()
    for grid in grids(results):
        table = Table(*grid.columns, title=grid.title, title_justify="left")
        for row in grid.rows:
            color = _VERDICTS.get(row[-1])
            table.add_row(*row, style=color)
        screen.print(table)
    for note in notes(results, kept):
        screen.print(note, style="red" if note.startswith("VOID") else None, highlight=False)

"""`recloop compress`: smaller and faster bundles of one bundle, measured beside it and refused if they lose much."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from job.commands.options import DATA_DIR, AsJson, DataFolder, bounded, find_dataset
from job.commands.output import Screen, print_json
from job.commands.training import TrainingProgress, use_threads
from model.bundles.bundle import Bundle
from model.compression.methods import KINDS, STEPS
from model.pictures import NO_PICTURES, can_draw

if TYPE_CHECKING:
    from model.compression.outcomes import Figures, Report

_METHODS = (*(step for step in STEPS if step != "cells"), "distill+int8", "distill+prune")
_METHODS_HELP = (
    "A method, repeatable; several with + between go on from each other. By default each alone but cells, distill+int8 "
    "and distill+prune. " + "; ".join(f"{name}: {step.summary}" for name, step in STEPS.items())
)
_MAX_LOSS_HELP = "Share of NDCG@10 that may be lost; what loses more is refused. Below 0: to gain."
_KEEP_HELP = "prune, distill: share of the units or layers that is left, by default 0.5."
_EPOCHS_HELP = (
    "distill: passes over the data; prune: 0.3 of them. By default those of the bundle's kind, or of the options "
    "behind its name; those that train was given are not known."
)
_SEED_HELP = "prune, distill: seed of everything random, by default 0."


def compress(
    bundle: Annotated[Path, typer.Argument(help=f"Folder of a trained bundle: {', '.join(KINDS)}.")],
    dataset: Annotated[
        str | None, typer.Argument(help="Name or folder of the data set it was trained on; the bundle's by default.")
    ] = None,
    how: Annotated[list[str] | None, typer.Option(help=_METHODS_HELP)] = None,
    max_loss: Annotated[float, typer.Option(min=-1_000, max=1, help=_MAX_LOSS_HELP)] = 0.01,
    out: Annotated[Path | None, typer.Option(help="Folder for the bundles; by default BUNDLE-compressed.")] = None,
    keep: Annotated[float | None, typer.Option(min=0.01, max=1.0, help=_KEEP_HELP)] = None,
    epochs: Annotated[int | None, bounded("epochs", _EPOCHS_HELP)] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help=_SEED_HELP)] = None,
    data_dir: DataFolder = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Compress a bundle, and measure size, users per second and accuracy before and after.

    Each method that loses no more than the bound becomes a bundle in the folder, beside compression.json and a picture,
    compression.png; the job serves it like any other. Training uses behaviours older than the bundle's cut-off,
    measurement the later ones. If every method is refused, nothing is written and the exit code is 1.

    Examples:
      recloop compress .recloop/models/ml-100k

      recloop compress .recloop/models/gru --how distill+prune --how distill+int8 --max-loss 0.02

      recloop deploy --set scoring.bundle=.recloop/models/gru-compressed/distill+prune
    """
    loaded = Bundle.load(bundle)
    prepared = find_dataset(dataset or loaded.manifest.training.dataset, data_dir)
    use_threads(1)
    from model.compression.compress import Compressing, compress
    from model.compression.steps import Shrinking

    wanted = Compressing(
        methods=tuple(dict.fromkeys(how or _METHODS)),
        max_loss=max_loss,
        shrinking=Shrinking(keep=keep, epochs=epochs, seed=seed),
        created_at=datetime.now(UTC),
    )
    folder = out or bundle.with_name(f"{bundle.name}-compressed")
    with TrainingProgress() as progress:
        report = compress(loaded, prepared, folder, wanted, progress)
    print_json({**asdict(report), "out": str(folder)}) if as_json else _print(report, folder)
    if not report.kept:
        raise typer.Exit(1)


def _print(report: Report, folder: Path) -> None:
    title = f"{report.bundle}, {report.recommender}: {report.targets:,} targets of {report.users:,} users"
    table = Table(title=title)
    table.add_column("", no_wrap=True)
    for name in ("MB", "users/s, 64 a call", "users/s, 1 a call", "HR@10", "NDCG@10", "NDCG@10 gained", ""):
        table.add_column(name)
    table.add_row("before", *_figures(report.before), "", "")
    for outcome in report.outcomes:
        size, batched, alone, *accuracy = _figures(outcome.figures)
        speeds = (f"{batched}\n{outcome.faster:.2f} x", f"{alone}\n{outcome.faster_alone:.2f} x")
        gained = (outcome.ndcg.difference, outcome.ndcg.low, outcome.ndcg.high)
        middle, low, high = (100 * value / report.before.ndcg_10 for value in gained)
        gained_text = f"{middle:+.1f} %\n({low:+.1f} to {high:+.1f})"
        verdict = Text("refused", style="red") if outcome.refused else "kept"
        if outcome.recall is not None:
            gained_text += f"\n{100 * outcome.recall:.1f} % found"
        table.add_row(outcome.way, size, *speeds, *accuracy, gained_text, verdict)
    console = Screen()
    console.print(table)
    console.print(report.goal)
    if report.kept:
        written = [*(o.way for o in report.kept), "compression.json", *(["compression.png"] if can_draw() else [])]
        console.print(f"Written to {folder}: {', '.join(written)}")
        if not can_draw():
            console.print(NO_PICTURES)
    else:
        console.print(f"Every method loses more than {100 * report.max_loss:g} % of NDCG@10, so nothing was written.")
    console.print(report.protocol, style="dim")


def _figures(figures: Figures) -> list[str]:
    speeds = [f"{figures.users_per_s:,.0f}", f"{figures.users_per_s_alone:,.0f}"]
    return [f"{figures.model_bytes / 1e6:.2f}", *speeds, f"{figures.hr_10:.4f}", f"{figures.ndcg_10:.4f}"]

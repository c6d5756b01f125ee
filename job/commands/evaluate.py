"""`recloop evaluate`: recommenders or bundles side by side, by one protocol, with intervals for their differences."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from job.commands.data import DATA_DIR, find_dataset
from job.commands.output import Screen, print_json
from job.commands.train import RECOMMENDERS_HELP, TARGETS_HELP, TrainingProgress, use_threads
from model.bundles.bundle import Bundle
from model.bundles.trial import try_bundle
from model.recommenders.kinds import DEFAULT_KIND, Size, kind_named

if TYPE_CHECKING:
    from model.datasets.prepared import Dataset
    from model.evaluation.comparison import Comparison, Trial
    from model.evaluation.measures import Interval, Measures, Spread
    from model.evaluation.splits import Split

NAMES_HELP = f"Names, with commas between, to train and measure. {RECOMMENDERS_HELP}"


class Protocol(StrEnum):
    """The protocol by which behaviours are held out."""

    LEAVE_ONE_OUT = "leave-one-out"
    TIME_SPLIT = "time-split"


class Part(StrEnum):
    """The part that is predicted: make choices on the validation, and run the test once."""

    VALIDATION = "validation"
    TEST = "test"


def evaluate(
    dataset: Annotated[str, typer.Argument(help="Name of a prepared data set, or its folder.")],
    recommender: Annotated[str | None, typer.Option(help=NAMES_HELP)] = None,
    bundle: Annotated[list[Path] | None, typer.Option(help="A bundle's folder, measured as it is; repeatable.")] = None,
    protocol: Annotated[Protocol | None, typer.Option(help="By default time-split for bundles.")] = None,
    on: Annotated[Part, typer.Option(help="Which part is foreseen.")] = Part.TEST,
    cut: Annotated[float, typer.Option(help="time-split: share of the behaviours to train on.")] = 0.8,
    cut_off: Annotated[
        int | None,
        typer.Option(help="time-split: train on what is older, epoch milliseconds; a bundle's own by default."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings of each recommender that draws.")] = 1,
    top: Annotated[int, typer.Option(min=1, help="Length of a list.")] = 10,
    history_length: Annotated[int, typer.Option(min=0, help="Newest items looked at; 0 is what suits each.")] = 0,
    dim: Annotated[int, typer.Option(min=1, help="Width of an item's embedding.")] = 64,
    threads: Annotated[int, typer.Option(min=0, help="CPU threads; 0 lets torch choose.")] = 1,
    targets_per_user: Annotated[int | None, typer.Option(min=1, help=f"time-split: {TARGETS_HELP}")] = None,
    data_dir: Annotated[Path, typer.Option(help="Folder of prepared data sets.")] = DATA_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Measure recommenders on behaviours they were not trained on; popularity is always a row.

    A bundle is measured only on behaviours later than its cut-off. The first row is compared with each other one:
    users are resampled, and an interval without 0 is a difference that is not chance.

    Examples:
      recloop evaluate ml-100k --recommender ease,item-cf --on validation

      recloop evaluate ml-100k --recommender ease,ease:l2=500,ease:l2=100 --on validation

      recloop evaluate ml-100k --recommender sasrec,ease --seeds 3 --protocol time-split

      recloop evaluate ml-100k --bundle .recloop/models/ml-100k --bundle .recloop/models/ease
    """
    prepared = find_dataset(dataset, data_dir)
    bundles = [Bundle.load(path) for path in bundle or []]
    for loaded in bundles:
        try_bundle(loaded)
    names = _names(recommender, bundles)
    use_threads(threads)
    from model.evaluation.comparison import Trial

    trial = Trial(top=top, seeds=seeds, size=Size(history_length=history_length, dim=dim, k=max(100, top)))
    chosen = protocol or (Protocol.TIME_SPLIT if bundles else Protocol.LEAVE_ONE_OUT)
    newest = max((b.manifest.training.cut_off for b in bundles), default=None)
    with TrainingProgress() as progress:
        progress("reading")
        split = _split(prepared, chosen, on, (cut, newest if cut_off is None else cut_off), targets_per_user)
        comparison = _compare(prepared, split, [*bundles, *names], trial, progress)
    print_json(asdict(comparison)) if as_json else _print(comparison)


def _names(recommender: str | None, bundles: list[Bundle]) -> list[str]:
    given = [name.strip() for name in (recommender or "").split(",") if name.strip()]
    for name in given:
        kind_named(name)
    return list(dict.fromkeys(given)) or ([] if bundles else [DEFAULT_KIND])


def _split(
    dataset: Dataset, protocol: Protocol, part: Part, cut: tuple[float, int | None], per_user: int | None
) -> Split:
    from model.datasets.interactions import load_interactions
    from model.evaluation.splits import leave_one_out, time_split

    log = load_interactions(dataset)
    validation = part is Part.VALIDATION
    if protocol is Protocol.LEAVE_ONE_OUT:
        return leave_one_out(log, validation=validation)
    return time_split(log, *cut, validation=validation, per_user=per_user)


def _compare(
    dataset: Dataset, split: Split, contenders: list[str | Bundle], trial: Trial, progress: TrainingProgress
) -> Comparison:
    from model.evaluation.comparison import compare

    return compare(split, dataset.items(), contenders, trial, progress)


def _print(comparison: Comparison) -> None:
    top = comparison.top
    title = f"{comparison.split}: {comparison.targets:,} targets of {comparison.users:,} users"
    table = Table("", "seeds", f"HR@{top:d}", f"NDCG@{top:d}", "MRR", "coverage", "novelty", title=title)
    for row in comparison.rows:
        table.add_row(row.name, str(row.seeds), *_cells(row.measures))
    console = Screen()
    console.print(table)
    if comparison.differences:
        console.print(_differences(comparison))
    console.print(comparison.protocol, style="dim")


def _cells(spread: Spread) -> list[str]:
    names = ("hr", "ndcg", "mrr", "coverage", "novelty")
    return [_cell(name, spread.mean, spread.deviation) for name in names]


def _cell(name: str, mean: Measures, deviation: Measures | None) -> str:
    places = 2 if name == "novelty" else 4
    value = f"{getattr(mean, name):.{places}f}"
    return value if deviation is None else f"{value} ± {getattr(deviation, name):.{places}f}"


def _differences(comparison: Comparison) -> Table:
    top = comparison.top
    table = Table("", f"HR@{top:d}", f"NDCG@{top:d}", title="paired differences, 95 % intervals")
    for found in comparison.differences:
        table.add_row(f"{found.first} less {found.second}", _interval(found.hr), _interval(found.ndcg))
    return table


def _interval(found: Interval) -> str:
    return f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"

"""`recloop evaluate`: recommenders or bundles side by side, by one protocol, with intervals for their differences."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from job.commands.live_evaluation import LIVE_OUT, Asked, evaluate_through_job
from job.commands.options import (
    DATA_DIR,
    LEAST_CUT,
    TARGETS_HELP,
    AsJson,
    DataFolder,
    Dim,
    HistoryLength,
    Overrides,
    PreparedSet,
    SettingsFile,
    Threads,
    epoch_ms,
    find_dataset,
    targets_limit,
)
from job.commands.output import Screen, figure, print_json, warn
from job.commands.training import CUT, RECOMMENDERS_HELP, TrainingProgress, use_threads
from job.settings.values import LONGEST_LIST
from model.bundles.bundle import Bundle
from model.bundles.trial import try_bundle
from model.recommenders.kinds import DEFAULT_KIND, Size, kind_named

if TYPE_CHECKING:
    from collections.abc import Callable

    from model.datasets.interactions import Interactions
    from model.datasets.prepared import Dataset
    from model.evaluation.comparison import Comparison, Trial
    from model.evaluation.measures import Interval
    from model.evaluation.splits import Split
    from model.records import EpochMs

_MEASURES = {"hr": 4, "ndcg": 4, "mrr": 4, "coverage": 4, "novelty": 2}
"""The measures of the table, by their fields' names, with the number of decimal places."""
_CUT_HELP = f"time-split: share of the behaviours to train on; {CUT:g} by default."
_CUT_OFF_HELP = (
    "time-split: test on what is later than this, epoch milliseconds, in place of --cut; a bundle's own by default."
)
_LIVE_HELP = (
    "Run the job on a cluster of its own, and look for each behaviour after the bundle's cut-off in the list that its "
    "user had just before it: with lists refreshed at every behaviour, minute, hour, day, and never."
)
_LIVE_ONLY = frozenset({"no_trends", "out", "settings_file", "overrides"})
_ALWAYS = frozenset({"dataset", "live", "bundle", "top", "targets_per_user", "data_dir", "as_json"})
"""Options by their parameters' names: those that need --live, and those that have an effect with it and without."""
_NAMES_HELP = f"Names, with commas between, to train and measure. {RECOMMENDERS_HELP}"
EXAMPLES = """
Examples:

recloop evaluate ml-100k --recommender ease,item-cf --on validation

recloop evaluate ml-100k --recommender ease,ease:l2=500,ease:l2=100 --on validation

recloop evaluate ml-100k --recommender sasrec,ease --seeds 3 --protocol time-split

recloop evaluate ml-100k --bundle .recloop/models/ml-100k --bundle .recloop/models/ease

recloop evaluate ml-100k --live
"""


_NoTrends = Annotated[
    bool, typer.Option("--no-trends", help="--live: leave out the run with trends, which takes longer.")
]


class Protocol(StrEnum):
    """The protocol by which behaviours are held out."""

    LEAVE_ONE_OUT = "leave-one-out"
    TIME_SPLIT = "time-split"


class Part(StrEnum):
    """The part that is predicted: make choices on the validation, and run the test once."""

    VALIDATION = "validation"
    TEST = "test"


def evaluate(
    context: typer.Context,
    dataset: PreparedSet,
    recommender: Annotated[str | None, typer.Option(help=_NAMES_HELP)] = None,
    bundle: Annotated[list[Path] | None, typer.Option(help="A bundle's folder, measured as it is; repeatable.")] = None,
    protocol: Annotated[Protocol | None, typer.Option(help="By default time-split for bundles.")] = None,
    on: Annotated[Part, typer.Option(help="Which part is foreseen.")] = Part.TEST,
    cut: Annotated[float | None, typer.Option(min=LEAST_CUT, max=1, help=_CUT_HELP)] = None,
    cut_off: Annotated[int | None, epoch_ms(_CUT_OFF_HELP)] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1_000, help="Trainings of each recommender that draws.")] = 1,
    top: Annotated[int, typer.Option(min=1, max=LONGEST_LIST, help="Length of a list.")] = 10,
    history_length: HistoryLength = 0,
    dim: Dim = 64,
    threads: Threads = 1,
    targets_per_user: Annotated[int | None, targets_limit(f"time-split: {TARGETS_HELP}")] = None,
    live: Annotated[bool, typer.Option("--live", help=_LIVE_HELP)] = False,
    no_trends: _NoTrends = False,
    out: Annotated[Path, typer.Option(help="--live: folder of the figures and the picture.")] = LIVE_OUT,
    settings_file: SettingsFile = None,
    overrides: Overrides = None,
    data_dir: DataFolder = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Measure recommenders on behaviours they were not trained on; popularity is always a row.

    A bundle is measured only on behaviours later than its cut-off. The first row is compared with each other one:
    users are resampled, and an interval without 0 is a difference that is not chance.

    With --live it measures what fresh lists are worth, through the job, whose settings are given as for deploy; the
    bundle is .recloop/models/DATASET by default.
    """
    _refuse_other_mode(context, live=live)
    if live:
        evaluate_through_job(
            Asked(
                dataset=find_dataset(dataset, data_dir),
                bundles=tuple(bundle or ()),
                top=top,
                per_user=targets_per_user,
                trends=not no_trends,
                out=out,
                settings_file=settings_file,
                overrides=tuple(overrides or ()),
            ),
            as_json=as_json,
        )
        return
    chosen = protocol or (Protocol.TIME_SPLIT if bundle else Protocol.LEAVE_ONE_OUT)
    of_time_split = {"--cut": cut, "--cut-off": cut_off, "--targets-per-user": targets_per_user}
    given = [name for name, value in of_time_split.items() if value is not None]
    _refuse_unused(given, chosen, on, bundles=bool(bundle))
    prepared = find_dataset(dataset, data_dir)
    bundles = [_loaded(folder, top) for folder in bundle or ()]
    contenders: list[str | Bundle] = [*bundles, *_names(recommender)] or [DEFAULT_KIND]
    use_threads(threads)
    from model.evaluation.comparison import Trial

    newest = max((each.manifest.training.cut_off for each in bundles), default=None)
    since = newest if cut_off is None else cut_off
    split = partial(_split, chosen, on, cut=cut or CUT, since=since, per_user=targets_per_user)
    trial = Trial(top=top, seeds=seeds, size=Size(history_length=history_length, dim=dim, k=max(100, top)))
    comparison = _compared(prepared, split, contenders, trial)
    print_json(asdict(comparison)) if as_json else _print(comparison)


def _compared(
    prepared: Dataset, split: Callable[[Interactions], Split], contenders: list[str | Bundle], trial: Trial
) -> Comparison:
    """Train and measure, and warn of lists that cannot be as long as was asked."""
    from model.datasets.interactions import load_interactions
    from model.evaluation.comparison import compare

    with TrainingProgress() as progress:
        progress("reading")
        log = load_interactions(prepared)
        comparison = compare(split(log), prepared.items(), contenders, trial, progress)
    if trial.top > log.items:
        warn(f"there are {log.items:,} items, so no list has {trial.top:,} (--top)")
    return comparison


def _split(
    protocol: Protocol, part: Part, log: Interactions, *, cut: float, since: EpochMs | None, per_user: int | None
) -> Split:
    """Hold out what is predicted."""
    from model.evaluation.splits import leave_one_out, time_split

    validation = part is Part.VALIDATION
    if protocol is Protocol.LEAVE_ONE_OUT:
        return leave_one_out(log, validation=validation)
    return time_split(log, cut, since, validation=validation, per_user=per_user)


def _refuse_other_mode(context: typer.Context, *, live: bool) -> None:
    """Refuse the options that have an effect only with --live, or only without it."""
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name in _ALWAYS or source is None or source.name != "COMMANDLINE":
            continue
        if live != (name in _LIVE_ONLY):
            msg = f"{parameter.opts[0]} has no effect {'with' if live else 'without'} --live: leave it out"
            raise typer.BadParameter(msg)


def _refuse_unused(given: list[str], protocol: Protocol, on: Part, *, bundles: bool) -> None:
    """Refuse a time split's options that have no effect."""
    if given and protocol is Protocol.LEAVE_ONE_OUT:
        msg = f"{given[0]} has no effect on leave-one-out: leave it out, or give --protocol time-split"
        raise typer.BadParameter(msg)
    if "--cut" in given and on is Part.TEST and (bundles or "--cut-off" in given):
        reason = "beside --cut-off" if "--cut-off" in given else "on --bundle: its own cut-off counts"
        msg = f"--cut has no effect {reason}; leave it out"
        raise typer.BadParameter(msg)


def _loaded(folder: Path, top: int) -> Bundle:
    """Return the bundle in a folder; refuse it if its lists are too short."""
    bundle = Bundle.load(folder)
    returned = bundle.manifest.k
    if top > returned and bundle.manifest.items > returned:
        msg = (
            f"{bundle.path} returns {returned} items at most: give --top {returned} or less, or train it again "
            f"with --k {top}"
        )
        raise typer.BadParameter(msg, param_hint="'--top'")
    try_bundle(bundle)
    return bundle


def _names(text: str | None) -> list[str]:
    """Return the recommenders' names in a text with commas between, each once; refuse what is none."""
    names = list(dict.fromkeys(name.strip() for name in (text or "").split(",") if name.strip()))
    for name in names:
        kind_named(name)
    return names


def _print(comparison: Comparison) -> None:
    top, console = comparison.top, Screen()
    title = f"{comparison.split}: {comparison.targets:,} targets of {comparison.users:,} users"
    table = Table("", "seeds", f"HR@{top:d}", f"NDCG@{top:d}", "MRR", "coverage", "novelty", title=title)
    for row in comparison.rows:
        mean, deviation = row.measures.mean, row.measures.deviation
        cells = [figure(getattr(mean, name), places) for name, places in _MEASURES.items()]
        if deviation is not None:
            spreads = (figure(getattr(deviation, name), places) for name, places in _MEASURES.items())
            cells = [f"{cell} ± {spread}" for cell, spread in zip(cells, spreads, strict=True)]
        table.add_row(row.name, str(row.seeds), *cells)
    console.print(table)
    if comparison.differences:
        table = Table("", f"HR@{top:d}", f"NDCG@{top:d}", title="paired differences, 95 % intervals")
        for found in comparison.differences:
            table.add_row(f"{found.first} less {found.second}", _interval(found.hr), _interval(found.ndcg))
        console.print(table)
    console.print(comparison.protocol, style="dim")


def _interval(found: Interval) -> str:
    return f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"

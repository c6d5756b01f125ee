"""Comparison of recommenders on one split: every kind is trained once per seed, every bundle is taken as it is.

The table's measures are means over seeds. Differences to the first row are paired by target.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from model.bundles.bundle import Bundle, load_module
from model.datasets.reading import Item
from model.evaluation.evaluate import Gains, Ranking, rank, targets_at
from model.evaluation.measures import Interval, Measures, Spread, measures_of, paired_bootstrap, spread_of
from model.evaluation.splits import Split, refuse_older
from model.recommenders.kinds import Progress, Size, kind_named
from model.recommenders.learn import learn, training_set, vocabulary_of
from model.records import ItemId
from model.training.train import TrainConfig

_BASELINE = "popularity"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """The options of a comparison.

    Attributes:
        top: length of a list.
        seeds: number of trainings of each seeded kind, from seed 0; the other kinds are trained once.
        size: size of the recommenders.
        settings: kind's name -> training options; a kind without an entry uses its own.
    """

    top: int = 10
    seeds: int = 1
    size: Size = field(default_factory=lambda: Size(history_length=0))
    settings: Mapping[str, TrainConfig] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Row:
    """One recommender's row of the table.

    Attributes:
        name: name of the kind, with its options, or of the bundle's folder.
        seeds: number of runs: its trainings, or 1 for a bundle.
        measures: mean and deviation over the runs.
    """

    name: str
    seeds: int
    measures: Spread


@dataclass(frozen=True, slots=True)
class Difference:
    """The first row's measures less the second's over the same targets, from means over seeds."""

    first: str
    second: str
    hr: Interval
    ndcg: Interval


@dataclass(frozen=True, slots=True)
class Comparison:
    """The table of a comparison.

    Attributes:
        split: name of the split.
        protocol: rules by which it is counted, in words.
        targets: number of behaviours to predict.
        users: number of users whose behaviours they are.
        top: length of a list.
        rows: in the order asked for; popularity is added last unless it was asked for.
        differences: the first row compared with each other one.
    """

    split: str
    protocol: str
    targets: int
    users: int
    top: int
    rows: tuple[Row, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class _Run:
    """One row's runs: the measures of each seed, and each target's hits and gains as means over seeds, (T,)."""

    name: str
    measures: tuple[Measures, ...]
    hits: Gains
    gains: Gains


def compare(
    split: Split,
    catalogue: Mapping[ItemId, Item],
    contenders: Sequence[str | Bundle],
    trial: Trial,
    progress: Progress = lambda _: None,
) -> Comparison:
    """Measure kinds and bundles, and popularity beside them.

    Args:
        split: the rows to train on and the targets to predict.
        catalogue: item id -> item, for the titles.
        contenders: names of kinds, and bundles.
        trial: the options.
        progress: called with each stage's name and each finished epoch.

    Raises:
        UnknownKindError: there is no kind of such a name.
        OptionError: a kind has no such option, or the option is no number.
        SplitError: a bundle was trained on behaviours as new as the targets.
        ValueError: a recommender cannot be trained on this data.
    """
    for contender in contenders:
        if isinstance(contender, str):
            kind_named(contender).refuse_unknown_options()
        else:
            refuse_older(split, contender.manifest.training.cut_off, str(contender.path))
    named = contenders if _BASELINE in contenders else [*contenders, _BASELINE]
    runs = [_run(split, catalogue, contender, trial, progress) for contender in named]
    progress("resampling")
    user = split.log.user[split.rows]
    return Comparison(
        split=split.name,
        protocol=split.protocol,
        targets=len(split.rows),
        users=len(np.unique(user)),
        top=trial.top,
        rows=tuple(Row(run.name, len(run.measures), spread_of(run.measures)) for run in runs),
        differences=tuple(
            Difference(
                runs[0].name,
                other.name,
                paired_bootstrap(runs[0].hits, other.hits, user),
                paired_bootstrap(runs[0].gains, other.gains, user),
            )
            for other in runs[1:]
        ),
    )


def _run(
    split: Split, catalogue: Mapping[ItemId, Item], contender: str | Bundle, trial: Trial, progress: Progress
) -> _Run:
    name = contender if isinstance(contender, str) else contender.path.name
    if isinstance(contender, str):
        answered = list(_trained(split, catalogue, contender, trial, progress))
    else:
        progress(f"evaluating {name}")
        log = split.log.with_vocabulary(contender.vocabulary)
        ranking = rank(load_module(contender, "cpu"), targets_at(log, split.rows, contender.manifest.history_length))
        counts = log.where(split.training).histories().counts()
        answered = [(ranking, measures_of(ranking, counts, trial.top))]
    rankings = [ranking for ranking, _ in answered]
    return _Run(
        name,
        tuple(measures for _, measures in answered),
        np.mean([ranking.hits(trial.top) for ranking in rankings], axis=0),
        np.mean([ranking.gains(trial.top) for ranking in rankings], axis=0),
    )


def _trained(
    split: Split, catalogue: Mapping[ItemId, Item], name: str, trial: Trial, progress: Progress
) -> Iterator[tuple[Ranking, Measures]]:
    """Train a kind once per seed, and yield the ranking and the measures of each run."""
    spec = kind_named(name)
    vocabulary = vocabulary_of(spec, split.log.where(split.training), catalogue)
    log = split.log.with_vocabulary(vocabulary)
    training = log.where(split.training)
    targets = targets_at(log, split.rows, spec.sized(trial.size).history_length)
    settings = trial.settings.get(name) or spec.recipe().SETTINGS
    for seed in range(trial.seeds if spec.seeded else 1):
        progress(f"training {name}, seed {seed}" if spec.seeded else f"training {name}")
        learned = learn(spec, training_set(training, catalogue), trial.size, replace(settings, seed=seed), progress)
        progress(f"evaluating {name}")
        ranking = rank(learned.recommender, targets)
        yield ranking, measures_of(ranking, training.histories().counts(), trial.top)

"""The report on what freshness is worth: measures of every rule and run, and their paired differences."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import pairwise

from model.errors import RecloopError
from model.evaluation.freshness import Found, LookedUp, Question, Serving
from model.evaluation.measures import Interval, paired_bootstrap
from model.records import EpochMs, ItemId

PROTOCOL = (
    "Prequential. A target is a behaviour at or after the bundle's cut-off that enters histories and is about an item "
    "new to its user; it is looked for in the list that its user had just before it. Behaviours of one user with one "
    "timestamp are simultaneous: none helps to foretell another. A list refreshed every minute, hour or day (UTC) was "
    "made from what came before that moment, and the first refresh is at the cut-off. Who has no list, and a list that "
    "is too short, gets what was most popular before the cut-off. An item outside the vocabulary counts as a miss. "
    "'Filtered' is a server that leaves out of the list what its user has taken since. Churn is the share of a list "
    "that was not in the one served to the same user before it. No user has more than a tenth of the targets, or three "
    "times the median user's."
)
"""The counting rules, in words."""

_ON, _OFF = "trends on", "trends off"


class NothingToFindError(RecloopError):
    """A log without a target: no user does anything new at or after the cut-off."""


@dataclass(frozen=True, slots=True)
class Row:
    """The measures of one rule and way of serving.

    Attributes:
        trends: whether trends were blended in.
        refreshed: name of the rule.
        serving: what the server did with the stored list.
        hr: share of the targets among the items served.
        ndcg: mean over targets of 1 / log2(place + 1), or 0 where it was not served.
        coverage: share of the vocabulary that was served to anybody.
        churn: mean share of a list that was not in the one served to the same user before it.
        without_list: share of the visits at which the user had no list yet.
    """

    trends: bool
    refreshed: str
    serving: Serving
    hr: float
    ndcg: float
    coverage: float
    churn: float
    without_list: float


@dataclass(frozen=True, slots=True)
class Gain:
    """The first's measures less the second's over the same targets, with 95 % intervals over users.

    Attributes:
        trends: whether trends were blended in; None where the first has them and the second has not.
        serving: what the server did with the stored list.
        first: name of a rule.
        second: name of another, or "trends off".
        hr: difference of the hit rates.
        ndcg: difference of the NDCG.
    """

    trends: bool | None
    serving: Serving
    first: str
    second: str
    hr: Interval
    ndcg: Interval


@dataclass(frozen=True, slots=True)
class Freshness:
    """The report.

    Attributes:
        dataset: name of the data set.
        recommender: kind of the bundle's model.
        model_hash: hash of the bundle.
        cut_off: of the bundle.
        top: items that were served.
        protocol: rules by which it is counted, in words.
        users: number of users with a target.
        visits: moments at which a user was served.
        targets: number of targets.
        simultaneous: targets that share their moment with another behaviour of their user.
        outside: targets outside the vocabulary.
        left_out: targets beyond the limit of one user.
        fallbacks: with or without trends -> lists after the cut-off that the job made without scores.
        rows: each run's rules, each as stored and filtered.
        gains: each rule less the next staler one, the freshest less never, and trends on less off.
    """

    dataset: str
    recommender: str
    model_hash: str
    cut_off: EpochMs
    top: int
    protocol: str
    users: int
    visits: int
    targets: int
    simultaneous: int
    outside: int
    left_out: int
    fallbacks: Mapping[str, int]
    rows: tuple[Row, ...]
    gains: tuple[Gain, ...]


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a measurement.

    Attributes:
        dataset: name of the data set.
        recommender: kind of the bundle's model.
        model_hash: hash of the bundle.
        vocabulary: the items that the model knows.
    """

    dataset: str
    recommender: str
    model_hash: str
    vocabulary: Set[ItemId]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the job.

    Attributes:
        trends: whether trends were blended in.
        fallbacks: lists after the cut-off that were made without scores.
        looked_up: what was found of its lists.
    """

    trends: bool
    fallbacks: int
    looked_up: LookedUp

    @property
    def name(self) -> str:
        """The run in words."""
        return _ON if self.trends else _OFF


def report_on(subject: Subject, question: Question, runs: Sequence[Run]) -> Freshness:
    """Return the report on runs over the same log.

    Raises:
        NothingToFindError: there is no target.
    """
    first = runs[0].looked_up
    if not first.target:
        msg = f"no user does anything new at or after the cut-off {question.cut_off}: train with a smaller --cut"
        raise NothingToFindError(msg)
    return Freshness(
        dataset=subject.dataset,
        recommender=subject.recommender,
        model_hash=subject.model_hash,
        cut_off=question.cut_off,
        top=question.top,
        protocol=PROTOCOL,
        users=len(set(first.user.tolist())),
        visits=first.visits,
        targets=len(first.target),
        simultaneous=first.simultaneous,
        outside=sum(target not in subject.vocabulary for target in first.target),
        left_out=first.left_out,
        fallbacks={run.name: run.fallbacks for run in runs},
        rows=tuple(row for run in runs for row in _rows(run, subject.vocabulary, question.top)),
        gains=tuple(_gains(question, runs)),
    )


def _rows(run: Run, vocabulary: Set[ItemId], top: int) -> Iterator[Row]:
    for (name, serving), found in run.looked_up.found.items():
        yield Row(
            trends=run.trends,
            refreshed=name,
            serving=serving,
            hr=float(found.ranking.hits(top).mean()),
            ndcg=float(found.ranking.gains(top).mean()),
            coverage=len(found.listed & vocabulary) / len(vocabulary),
            churn=found.churn,
            without_list=found.without_list,
        )


def _gains(question: Question, runs: Sequence[Run]) -> Iterator[Gain]:
    names = [refresh.name for refresh in question.refreshes if refresh.personal]
    compared = dict.fromkeys([(names[0], names[-1]), *pairwise(names)])
    for run in runs:
        for serving in Serving:
            for first, second in compared:
                found = run.looked_up.found
                pair = found[first, serving], found[second, serving]
                yield _gain(run, pair, (first, second), question.top, serving=serving, trends=run.trends)
    of = {run.trends: run for run in runs}
    if len(of) == 2:
        for serving in Serving:
            for name in names:
                pair = of[True].looked_up.found[name, serving], of[False].looked_up.found[name, serving]
                yield _gain(of[True], pair, (name, _OFF), question.top, serving=serving, trends=None)


def _gain(
    run: Run, pair: tuple[Found, Found], names: tuple[str, str], top: int, *, serving: Serving, trends: bool | None
) -> Gain:
    """Return the difference of two outcomes over the same targets."""
    first, second = (found.ranking for found in pair)
    user = run.looked_up.user
    return Gain(
        trends=trends,
        serving=serving,
        first=names[0],
        second=names[1],
        hr=paired_bootstrap(first.hits(top).astype(float), second.hits(top).astype(float), user),
        ndcg=paired_bootstrap(first.gains(top), second.gains(top), user),
    )

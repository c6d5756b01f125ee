"""The worth of fresh lists: each behaviour is looked up in the list that its user had just before it.

Lists serve the behaviours that follow them, as in a log that happens. Nothing helps that a server could not know:
a user's behaviours with one timestamp are simultaneous, and a list that was refreshed at a moment was made from what
came before that moment. Pure: no Flink, no clock.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain, groupby
from operator import attrgetter

import numpy as np

from model.datasets.interactions import Ints
from model.evaluation.evaluate import Ranking, fair_limit, thinned
from model.records import EpochMs, ItemId


@dataclass(frozen=True, slots=True)
class Act:
    """A behaviour, as much of it as counts.

    Attributes:
        item_id: the item acted on.
        timestamp: event time.
        enters: its action enters histories, so that it may be a target.
        makes_known: from then on the item is not new to the user; all that `enters` does so.
    """

    item_id: ItemId
    timestamp: EpochMs
    enters: bool
    makes_known: bool


@dataclass(frozen=True, slots=True)
class Trace:
    """One user's behaviours, and the lists that were made of them.

    Attributes:
        acts: oldest first.
        list_times: event time of the behaviour that each list was made after, oldest first.
        lists: item ids, best first; of those before the cut-off only the newest is needed.
    """

    acts: Sequence[Act]
    list_times: Sequence[EpochMs] = ()
    lists: Sequence[Sequence[ItemId]] = ()

    def __post_init__(self) -> None:
        times = [act.timestamp for act in self.acts]
        if times != sorted(times) or list(self.list_times) != sorted(self.list_times):
            msg = "a user's behaviours and lists have to be in order of event time"
            raise ValueError(msg)

    def list_before(self, time: EpochMs) -> Sequence[ItemId]:
        """Return the newest list that was made after a behaviour before that time; empty if there is none."""
        found = bisect_left(self.list_times, time)
        return self.lists[found - 1] if found else ()


@dataclass(frozen=True, slots=True)
class Refresh:
    """A rule for when lists are refreshed.

    Attributes:
        name: for tables.
        period_ms: time from one refresh to the next; None refreshes never after the cut-off.
        personal: users have lists of their own; else everyone gets what is popular.
    """

    name: str
    period_ms: int | None
    personal: bool = True

    def knows_before(self, at: EpochMs, cut_off: EpochMs) -> EpochMs:
        """Return the time before which the list served at `at` knows everything, and from which on nothing."""
        return cut_off if self.period_ms is None else max(cut_off, at - at % self.period_ms)


REFRESHES = (
    Refresh("behaviour", 1),
    Refresh("minute", 60_000),
    Refresh("hour", 3_600_000),
    Refresh("day", 86_400_000),
    Refresh("never", None),
    Refresh("popular", None, personal=False),
)
"""The rules that are compared, freshest first."""


class Serving(StrEnum):
    """A server's treatment of a stored list when it serves it."""

    STORED = "stored"
    """It serves the list as it was stored."""
    FILTERED = "filtered"
    """It leaves out what the user has taken since."""


@dataclass(frozen=True, slots=True)
class Question:
    """The question that is put to a run's lists.

    Attributes:
        cut_off: of the bundle; it was trained on what is older.
        popular: item ids, most popular before the cut-off first.
        top: items that are served.
        per_user: limit of one user's targets, taken at even distances; None is the limit of `fair_limit`.
        refreshes: the rules that are compared.
    """

    cut_off: EpochMs
    popular: Sequence[ItemId]
    top: int = 10
    per_user: int | None = None
    refreshes: Sequence[Refresh] = REFRESHES


@dataclass(frozen=True, slots=True)
class Visit:
    """A moment after the cut-off at which a user acted.

    Attributes:
        at: event time.
        targets: items to find, each once, in the log's order.
        together: number of behaviours at that moment.
        known: items that the user knew before; valid until the next visit is asked for.
    """

    at: EpochMs
    targets: tuple[ItemId, ...]
    together: int
    known: Set[ItemId]


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of one rule and way of serving.

    Attributes:
        ranking: the place of each target; without the lists.
        listed: all items that were served.
        churn: mean share of a served list that was not in the list served to the same user before it; NaN where
            nobody came twice.
        without_list: share of the visits at which the user had no list yet.
    """

    ranking: Ranking
    listed: frozenset[ItemId]
    churn: float
    without_list: float


@dataclass(frozen=True, slots=True)
class LookedUp:
    """The answers of a run's lists.

    Attributes:
        user: number of each target's user, (T,).
        target: item id of each target.
        visits: number of moments at which a user was served.
        simultaneous: targets that share their moment with another behaviour of their user.
        left_out: targets beyond the limit of one user.
        found: (name of the rule, way of serving) -> outcome.
    """

    user: Ints
    target: tuple[ItemId, ...]
    visits: int
    simultaneous: int
    left_out: int
    found: Mapping[tuple[str, Serving], Found]


def visits_of(acts: Sequence[Act], cut_off: EpochMs) -> Iterator[Visit]:
    """Yield the moments at or after the cut-off at which a user acted, with the items new to the user by then."""
    known: set[ItemId] = set()
    for at, group in groupby(acts, key=attrgetter("timestamp")):
        together = tuple(group)
        if at >= cut_off:
            new = dict.fromkeys(act.item_id for act in together if act.enters and act.item_id not in known)
            yield Visit(at, tuple(new), len(together), known)
        known.update(act.item_id for act in together if act.makes_known)


def serve(listed: Sequence[ItemId], popular: Sequence[ItemId], left_out: Set[ItemId], top: int) -> tuple[ItemId, ...]:
    """Return the first `top` items of the list, then of what is popular, each once and none of those left out."""
    chosen: dict[ItemId, None] = {}
    for item_id in chain(listed, popular):
        if item_id not in left_out:
            chosen[item_id] = None
            if len(chosen) == top:
                break
    return tuple(chosen)


def look_up(traces: Sequence[Trace], question: Question) -> LookedUp:
    """Look each target up in the lists that each rule would have served just before it."""
    counts = [sum(len(visit.targets) for visit in visits_of(trace.acts, question.cut_off)) for trace in traces]
    limit = question.per_user or fair_limit(np.array([count for count in counts if count], dtype=np.int64))
    lookup = _LookUp(question)
    for user, (trace, count) in enumerate(zip(traces, counts, strict=True)):
        lookup.add(user, trace, frozenset(thinned(np.arange(count), limit).tolist()))
    return lookup.result(sum(counts))


@dataclass(slots=True)
class _Tally:
    """The sums of one rule and way of serving.

    Attributes:
        ranks: place of each target from 1; 0 where it was not served.
        listed: all items served so far.
        before: items served at the user's visit before.
        churned: sum of the shares of lists that were new.
        repeated: number of visits with one before them.
        without_list: number of visits without a list.
    """

    ranks: list[int] = field(default_factory=list)
    listed: set[ItemId] = field(default_factory=set)
    before: frozenset[ItemId] | None = None
    churned: float = 0.0
    repeated: int = 0
    without_list: int = 0

    def add(self, served: tuple[ItemId, ...], targets: Sequence[ItemId]) -> None:
        """Add what was served at one visit, and what was to be found in it."""
        self.ranks += [served.index(target) + 1 if target in served else 0 for target in targets]
        self.listed.update(served)
        if self.before is not None and served:
            self.churned += sum(item_id not in self.before for item_id in served) / len(served)
            self.repeated += 1
        self.before = frozenset(served)

    def found(self, visits: int) -> Found:
        """Return the outcome over that many visits."""
        nothing = np.zeros((len(self.ranks), 0), dtype=np.int64)
        return Found(
            ranking=Ranking(nothing, np.array(self.ranks, dtype=np.int64)),
            listed=frozenset(self.listed),
            churn=self.churned / self.repeated if self.repeated else float("nan"),
            without_list=self.without_list / visits if visits else float("nan"),
        )


class _LookUp:
    """The tallies of all rules and ways of serving, over one user after the other."""

    def __init__(self, question: Question) -> None:
        self._question = question
        self._rules = [(refresh, serving) for refresh in question.refreshes for serving in Serving]
        self._tallies = [_Tally() for _ in self._rules]
        self._user: list[int] = []
        self._target: list[ItemId] = []
        self._visits = 0
        self._simultaneous = 0

    def add(self, user: int, trace: Trace, chosen: Set[int]) -> None:
        """Serve one user's visits; look up those of the user's targets whose numbers are chosen."""
        number = 0
        for tally in self._tallies:
            tally.before = None
        for visit in visits_of(trace.acts, self._question.cut_off):
            targets = [target for n, target in enumerate(visit.targets, start=number) if n in chosen]
            number += len(visit.targets)
            self._visits += 1
            self._simultaneous += len(targets) if visit.together > 1 else 0
            self._user += [user] * len(targets)
            self._target += targets
            self._serve(trace, visit, targets)

    def _serve(self, trace: Trace, visit: Visit, targets: Sequence[ItemId]) -> None:
        asked = self._question
        for (refresh, serving), tally in zip(self._rules, self._tallies, strict=True):
            time = refresh.knows_before(visit.at, asked.cut_off)
            listed = trace.list_before(time) if refresh.personal else ()
            left_out: Set[ItemId] = visit.known if serving is Serving.FILTERED else frozenset()
            tally.without_list += not listed
            tally.add(serve(listed, asked.popular, left_out, asked.top), targets)

    def result(self, targets: int) -> LookedUp:
        """Return what was found; `targets` counts those beyond the limit of one user too."""
        rules = ((refresh.name, serving) for refresh, serving in self._rules)
        found = (tally.found(self._visits) for tally in self._tallies)
        return LookedUp(
            user=np.array(self._user, dtype=np.int64),
            target=tuple(self._target),
            visits=self._visits,
            simultaneous=self._simultaneous,
            left_out=targets - len(self._target),
            found=dict(zip(rules, found, strict=True)),
        )

"""The result of an A/B test from its tables: the hit rate of each variant, and how certain it is.

Every positive behaviour is a trial of the list that its user had: the newest one made before it, by `user_seq`. It is
a hit if the item was in that list, and counts for the list's variant, whether the list was scored by a model or made
without scores. A user's figure is the share of hits; a variant's figure is the mean over its users.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from job.ab_statistics import Estimate, Shares, difference, mean_share, ratio_mismatch
from model.errors import RecloopError

_SURELY = 0.001
"""The p-value of `ratio_mismatch` below which something other than the weights must have assigned the users."""
_TRIALS = """
SELECT variant, n, h, count(*) FROM (
  SELECT variant, acted.user_id, count(*) AS n, count(*) FILTER (list_contains(items[1:?], acted.item_id)) AS h
  FROM (
    SELECT user_id, user_seq, item_id FROM user_behavior
    WHERE outcome = 'applied' AND action IN (SELECT unnest(CAST(? AS VARCHAR[])))
  ) AS acted
  ASOF JOIN recommendation_lists AS list
  ON acted.user_id = list.user_id AND acted.user_seq > list.user_seq
  WHERE list.variant IS NOT NULL AND list.written_at >= ?
  GROUP BY ALL
)
GROUP BY ALL ORDER BY ALL
"""
_DEALT = """
SELECT variants, count(*) FROM (
  SELECT user_id, list_sort(list(DISTINCT variant)) AS variants FROM recommendation_lists
  WHERE variant IS NOT NULL AND written_at >= ? GROUP BY user_id
)
GROUP BY variants ORDER BY variants
"""
_LAST_MOVE = """
WITH list AS (
  SELECT user_id, user_seq, variant, written_at FROM recommendation_lists WHERE variant IS NOT NULL AND written_at >= ?
), latest AS (
  SELECT user_id, arg_max(variant, user_seq) AS variant FROM list GROUP BY user_id
)
SELECT max(written_at) FROM list JOIN latest USING (user_id) WHERE list.variant <> latest.variant
"""


_ACTIONS = "SELECT DISTINCT action FROM user_behavior"
_NEWEST = "SELECT max(written_at) FROM recommendation_lists WHERE variant IS NOT NULL"


class AbReportError(RecloopError):
    """The tables hold no A/B test, or not the variant that was asked for."""


class Verdict(StrEnum):
    """The conclusion from a variant's difference to the baseline."""

    BETTER = "better"
    WORSE = "worse"
    UNDECIDED = "undecided"
    """The interval contains 0."""
    TOO_FEW = "too few users"
    DEALT_ANEW = "users dealt anew"
    """Users had lists of several variants, so the variants' users are from different times."""
    MISMATCH = "users not dealt as weighted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The question that a report answers.

    Attributes:
        actions: the actions that count as a trial.
        top: the number of first items of a list that are searched for a hit.
        since: only lists made since then are used; None uses all.
        baseline: the variant that the others are compared with; None takes the first by name.
        weights: the variants' weights, to check that users were assigned by them; None skips the check.
        once: whether the test is evaluated only once, at a time that was fixed beforehand.
        known: the actions of the deployment's table, which are accepted even if no behaviour has them.
    """

    actions: Collection[str]
    top: int = 10
    since: datetime | None = None
    baseline: str | None = None
    weights: Mapping[str, float] | None = None
    once: bool = False
    known: Collection[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """The trials of one variant: of its users who acted after they had a list.

    Attributes:
        shares: each user's share of hits.
        behaviors: the number of behaviours of all these users.
        hits: the number of these that were hits.
    """

    shares: Shares
    behaviors: int
    hits: int

    @property
    def users(self) -> int:
        """The number of users."""
        return len(self.shares)


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantResult:
    """The figures of one variant.

    Attributes:
        name: the variant's name.
        dealt: the number of users who had a list of it.
        trials: the trials of those of them who acted afterwards.
        hit_rate: the mean of these users' shares.
        difference: to the baseline's hit rate; None for the baseline, and if variants cannot be compared.
        verdict: None for the baseline.
    """

    name: str
    dealt: int
    trials: Trials
    hit_rate: Estimate
    difference: Estimate | None
    verdict: Verdict | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AbReport:
    """The state of a test.

    Attributes:
        variants: the baseline first, then by name.
        moved: the number of users who had lists of several variants: they were reassigned, and count in each.
        settled: the time from which every user has lists of one variant only; None if none was reassigned.
        mismatch: the p-value of the numbers of users under the weights; None if the weights are not known.
    """

    variants: list[VariantResult]
    moved: int
    settled: datetime | None
    mismatch: float | None


def read_report(tables: Path, question: Question) -> AbReport:
    """Return the report on the tables user_behavior and recommendation_lists.

    Raises:
        AbReportError: no list has a variant or is as new as asked for, none has the baseline, or there is no such
            action.
        TablesError: the tables cannot be read.
    """
    from job.tables import duck  # the `recloop` command starts without it

    since_ms = 0 if question.since is None else int(question.since.timestamp() * 1000)
    with duck.connect(tables) as connection:
        trials = duck.run(connection, _TRIALS, [question.top, sorted(question.actions), since_ms]).rows
        groups: Any = duck.run(connection, _DEALT, [since_ms]).rows
        last_move: Any = duck.run(connection, _LAST_MOVE, [since_ms]).rows[0][0]
        newest: Any = duck.run(connection, _NEWEST).rows[0][0]
        seen = {str(name) for (name,) in duck.run(connection, _ACTIONS).rows}
    known = seen.union(question.known)
    if seen and (unknown := sorted(set(question.actions) - known)):
        msg = f"no behaviour there has the action {unknown[0]!r}; there are {', '.join(sorted(known))}"
        raise AbReportError(msg)
    dealt: dict[str, int] = {}
    for names, users in groups:
        for name in names:
            dealt[name] = dealt.get(name, 0) + users
    moved = sum(users for names, users in groups if len(names) > 1)
    if question.since is not None and newest is not None and not dealt:
        at = datetime.fromtimestamp(newest // 1000, UTC)
        msg = (
            f"all lists there with a variant are older than --since; the newest is of {at:%Y-%m-%dT%H:%M:%SZ}: "
            "give an earlier time"
        )
        raise AbReportError(msg)
    mismatch = _mismatch(dealt, question.weights)
    obstacle = None  # the reason why variants cannot be compared, however many users they have
    if moved:
        obstacle = Verdict.DEALT_ANEW
    elif mismatch is not None and mismatch < _SURELY:
        obstacle = Verdict.MISMATCH
    return AbReport(
        variants=_variants(trials, dealt, question, obstacle),
        moved=moved,
        settled=None if last_move is None else datetime.fromtimestamp(last_move // 1000, UTC) + timedelta(seconds=1),
        mismatch=mismatch,
    )


def _variants(rows: Any, dealt: Mapping[str, int], question: Question, obstacle: Verdict | None) -> list[VariantResult]:
    """Return the results of the baseline, then of the others by name.

    Args:
        rows: rows of (variant, behaviours, hits, number of users with these two counts).
        dealt: variant -> number of users who had a list of it.
        question: the question.
        obstacle: the reason why variants cannot be compared, or None.
    """
    if not dealt:
        msg = "no list there carries a variant: deploy with models.variants, and let users act"
        raise AbReportError(msg)
    first = min(dealt) if question.baseline is None else question.baseline
    if first not in dealt:
        msg = f"no list there is of a variant {first!r}; there are {', '.join(sorted(dealt))}"
        raise AbReportError(msg)
    trials = {}
    for name in dealt:
        n, h, count = np.array([row[1:] for row in rows if row[0] == name], dtype=np.int64).reshape(-1, 3).T
        shares = np.repeat(h / np.maximum(n, 1), count)
        trials[name] = Trials(shares=shares, behaviors=int((n * count).sum()), hits=int((h * count).sum()))
    results = []
    for name in (first, *sorted(dealt.keys() - {first})):
        gap, verdict = None, None if name == first else obstacle
        if name != first and obstacle is None:
            shares, others = trials[name].shares, trials[first].shares
            gap = difference(shares, others, comparisons=len(dealt) - 1, once=question.once)
            verdict = _verdict(gap)
        results.append(
            VariantResult(
                name=name,
                dealt=dealt[name],
                trials=trials[name],
                hit_rate=mean_share(trials[name].shares, once=question.once),
                difference=gap,
                verdict=verdict,
            )
        )
    return results


def _verdict(gap: Estimate) -> Verdict:
    if gap.interval is None:
        return Verdict.TOO_FEW
    low, high = gap.interval
    if low > 0:
        return Verdict.BETTER
    return Verdict.WORSE if high < 0 else Verdict.UNDECIDED


def _mismatch(dealt: Mapping[str, int], weights: Mapping[str, float] | None) -> float | None:
    """Return the p-value of the users' numbers; None if the weights don't cover them.

    They don't after a deployment with other variants.
    """
    known = {name: weight for name, weight in (weights or {}).items() if weight > 0}
    if len(known) < 2 or not dealt.keys() <= known.keys():
        return None
    return ratio_mismatch([dealt.get(name, 0) for name in known], list(known.values()))

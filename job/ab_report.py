"""What an A/B test's tables tell: how often the next behaviour was in the list, by variant, and how sure that is.

Every positive behaviour is a trial of the list that its user had: the newest one made before it, by `user_seq`. It
counts for that list's variant, whether a model scored the list or the rules alone made it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from job.ab_statistics import Estimate, UserSums, hit_rate, ratio_mismatch
from model.errors import RecloopError

_JUDGED = """
FROM (
  SELECT user_id, user_seq, item_id FROM user_behavior
  WHERE outcome = 'applied' AND action IN (SELECT unnest(CAST(? AS VARCHAR[])))
) AS acted
ASOF JOIN recommendation_lists AS list
ON acted.user_id = list.user_id AND acted.user_seq > list.user_seq
WHERE list.variant IS NOT NULL AND list.written_at >= ?
"""
_SUMS = f"""
SELECT variant, count(*), sum(n), sum(h), sum(n * n), sum(h * h), sum(n * h)
FROM (
  SELECT variant, acted.user_id, count(*) AS n, count(*) FILTER (list_contains(items[1:?], acted.item_id)) AS h
  {_JUDGED} GROUP BY ALL
)
GROUP BY variant ORDER BY variant
"""
_DEALT = """
SELECT variants, count(*) FROM (
  SELECT user_id, list_sort(list(DISTINCT variant)) AS variants FROM recommendation_lists
  WHERE variant IS NOT NULL AND written_at >= ? GROUP BY user_id
)
GROUP BY variants ORDER BY variants
"""


class AbReportError(RecloopError):
    """The tables hold no A/B test, or not the variant that was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked.

    Attributes:
        actions: those that count as a trial.
        top: a hit is among so many first items of the list.
        since: only lists made since then; None takes all.
        baseline: the variant that others are compared with; None takes the first by name.
        weights: of the variants, where they are known: whether users are dealt as they say.
    """

    actions: Collection[str]
    top: int = 10
    since: datetime | None = None
    baseline: str | None = None
    weights: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True)
class VariantResult:
    """One variant.

    Attributes:
        dealt: users who had a list of it.
        sums: of those who acted then.
        difference: to the baseline's hit rate; None of the baseline.
    """

    name: str
    dealt: int
    sums: UserSums
    hit_rate: Estimate
    difference: Estimate | None


@dataclass(frozen=True, slots=True)
class AbReport:
    """The test so far.

    Attributes:
        variants: the baseline first, then by name.
        moved: users who had lists of several variants: dealt anew meanwhile, and counted in each.
        mismatch: how likely the numbers of dealt users are by chance; None where the weights are not known.
    """

    variants: list[VariantResult]
    moved: int
    mismatch: float | None


def read_report(tables: Path, question: Question) -> AbReport:
    """Reads user_behavior and recommendation_lists.

    Raises:
        AbReportError: no list carries a variant, or none the baseline.
        TablesError: the tables cannot be read.
    """
    from job.tables import duck  # the `recloop` command starts without it

    since_ms = 0 if question.since is None else int(question.since.timestamp() * 1000)
    with duck.connect(tables) as connection:
        sums = duck.run(connection, _SUMS, [question.top, sorted(question.actions), since_ms]).rows
        groups = duck.run(connection, _DEALT, [since_ms]).rows
    dealt, moved = _dealt([(tuple(names), int(users)) for names, users in groups])  # type: ignore[arg-type,call-overload]
    return _report({str(name): UserSums(*map(int, row)) for name, *row in sums}, dealt, moved, question)  # type: ignore[arg-type]


def _dealt(groups: list[tuple[tuple[str, ...], int]]) -> tuple[dict[str, int], int]:
    """Users of each variant, and how many are in several."""
    dealt: dict[str, int] = {}
    for names, users in groups:
        for name in names:
            dealt[name] = dealt.get(name, 0) + users
    return dealt, sum(users for names, users in groups if len(names) > 1)


def _report(sums: Mapping[str, UserSums], dealt: Mapping[str, int], moved: int, question: Question) -> AbReport:
    names = _baseline_first(dealt, question.baseline)
    rates = {name: hit_rate(sums.get(name, _NOBODY)) for name in names}
    variants = [
        VariantResult(
            name,
            dealt[name],
            sums.get(name, _NOBODY),
            rates[name],
            None if name == names[0] else rates[name].minus(rates[names[0]]),
        )
        for name in names
    ]
    return AbReport(variants, moved, _mismatch(dealt, question.weights))


def _baseline_first(dealt: Mapping[str, int], baseline: str | None) -> list[str]:
    if not dealt:
        msg = "no list there carries a variant: deploy with models.variants, and let users act"
        raise AbReportError(msg)
    if baseline is not None and baseline not in dealt:
        msg = f"no list there is of a variant {baseline!r}; there are {', '.join(sorted(dealt))}"
        raise AbReportError(msg)
    first = baseline or min(dealt)
    return [first, *(name for name in sorted(dealt) if name != first)]


def _mismatch(dealt: Mapping[str, int], weights: Mapping[str, float] | None) -> float | None:
    """None also where others are dealt than the weights are of, as after a deployment with other variants."""
    known = {name: weight for name, weight in (weights or {}).items() if weight > 0}
    if len(known) < 2 or not dealt.keys() <= known.keys():
        return None
    return ratio_mismatch([dealt.get(name, 0) for name in known], list(known.values()))


_NOBODY = UserSums(0, 0, 0, 0, 0, 0)

"""The table, and the same as JSON: every contender on the test, and each of ours against its best peer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from model.datasets.interactions import Ints
from model.evaluation.measures import Interval, paired_bootstrap
from tests.bench.accuracy.contest import TOP, Result
from tests.bench.accuracy.plan import CHAMPION, Family

GOAL = 1.25
"""What the best of ours is to have of the best peer's NDCG@10, on average over `GOAL_SETS`."""
GOAL_SETS = ("ml-100k", "ml-small")
Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Standing:
    """What is there of one data set.

    Attributes:
        name: of the data set.
        title: in the table.
        users: whose each target is, (T,).
        families: each with its results, peers first.
    """

    name: str
    title: str
    users: Ints
    families: tuple[tuple[Family, tuple[Result, ...]], ...]

    @property
    def results(self) -> tuple[Result, ...]:
        """Of all families."""
        return tuple(result for _, results in self.families for result in results)

    @property
    def best_peer(self) -> Result | None:
        """By the validation."""
        return best_peer(self.results)

    @property
    def champion(self) -> Result | None:
        """What ours was declared to be the best."""
        return next((result for result in self.results if result.contender.name == CHAMPION), None)

    def less(self, first: Result, second: Result) -> tuple[Interval, Interval]:
        """What the first has more, HR@10 and NDCG@10."""
        hr = paired_bootstrap(first.hits, second.hits, self.users)
        return hr, paired_bootstrap(first.gains, second.gains, self.users)


def best_peer(results: Sequence[Result]) -> Result | None:
    """The peer with the best NDCG@10 on the validation."""
    peers = [result for result in results if result.contender.is_peer]
    return max(peers, key=lambda result: result.chosen.ndcg or 0.0, default=None)


def as_markdown(standings: Sequence[Standing]) -> str:
    """The whole report."""
    parts = [_table(standing) for standing in standings if standing.results]
    return "\n\n".join([*parts, _goal(standings)]) + "\n"


def as_json(standings: Sequence[Standing]) -> Mapping[str, object]:
    """The whole report."""
    return {
        "sets": {standing.name: [_row(standing, *pair) for pair in _pairs(standing)] for standing in standings},
        "goal": _ratios(standings),
    }


def _pairs(standing: Standing) -> list[tuple[Family, Result, Result | None]]:
    """Each result with the peer it is compared to: its family's, or the best of all if the family has none."""
    return [
        (family, result, None if result.contender.is_peer else best_peer(results) or standing.best_peer)
        for family, results in standing.families
        for result in results
    ]


def _row(standing: Standing, family: Family, result: Result, peer: Result | None) -> Row:
    row: Row = {
        "family": family.name,
        "recommender": result.contender.label,
        "peer": result.contender.is_peer,
        "seeds": len(result.ndcg),
        "hr": list(result.hr),
        "ndcg": list(result.ndcg),
        "options": dict(result.chosen.options),
        "epochs": result.chosen.epochs,
        "tried": result.chosen.tried,
        "validation_ndcg": result.chosen.ndcg,
        "cpu_s": result.cpu_s,
    }
    if peer is not None:
        hr, ndcg = standing.less(result, peer)
        row["against"] = f"{peer.contender.label} ({peer.contender.name})"
        row["less_peer"] = {"hr": [hr.difference, hr.low, hr.high], "ndcg": [ndcg.difference, ndcg.low, ndcg.high]}
    return row


def _table(standing: Standing) -> str:
    head = f"**{standing.title}**, {len(standing.users):,} targets\n\n"
    columns = ("family", "recommender", f"HR@{TOP}", f"NDCG@{TOP}", f"NDCG@{TOP} less its peer's", "tried", "CPU s")
    lines = [_line(columns), _line(["---"] * len(columns))]
    for family, result, peer in _pairs(standing):
        against = "" if peer is None else _interval(standing.less(result, peer)[1])
        mine = result.contender
        label = mine.label if mine.is_peer else f"**{mine.label}**"
        spent = (str(result.chosen.tried), f"{result.cpu_s:,.0f}")
        lines.append(_line((family.name, label, spread(result.hr), spread(result.ndcg), against, *spent)))
    return head + "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    """Mean and deviation over the seeds."""
    mean = f"{np.mean(values):.4f}".lstrip("0")
    return mean if len(values) == 1 else f"{mean} ± {np.std(values, ddof=1):.4f}".replace("± 0", "± ")


def _interval(found: Interval) -> str:
    told = f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
    return told.replace("+0.", "+.").replace("-0.", "-.")


def _goal(standings: Sequence[Standing]) -> str:
    ratios = _ratios(standings)
    if len(ratios) < len(GOAL_SETS):
        return "The goal cannot be told yet: a champion or a peer of one of its data sets is missing."
    mean = float(np.mean(list(ratios.values())))
    each = ", ".join(f"{name} {ratio:.2f}" for name, ratio in ratios.items())
    verdict = "reached" if mean >= GOAL else "not reached"
    return f"{CHAMPION}'s NDCG@{TOP} over the best peer's: {each}; mean {mean:.2f}, goal {GOAL}: {verdict}."


def _ratios(standings: Sequence[Standing]) -> dict[str, float]:
    found: dict[str, float] = {}
    for standing in standings:
        champion, peer = standing.champion, standing.best_peer
        if standing.name in GOAL_SETS and champion is not None and peer is not None:
            found[standing.name] = float(np.mean(champion.ndcg) / np.mean(peer.ndcg))
    return found


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

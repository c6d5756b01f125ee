"""What came of compressing a bundle: a row for each way, beside the bundle itself."""

from dataclasses import dataclass

from model.evaluation.measures import Interval

GOAL_FASTER, GOAL_LOSS = 2.0, 0.01
"""Twice as fast for at most 1 % of NDCG@10."""
BATCH = 64
"""The most users that the job scores in one call, unless told otherwise."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one model weighs and does.

    Attributes:
        model_bytes: of the TorchScript file.
        users_per_s: on one thread, in batches of 64.
        users_per_s_alone: on one thread, one by one.
        hr_10: hit rate over all targets.
        ndcg_10: NDCG over all targets.
    """

    model_bytes: int
    users_per_s: float
    users_per_s_alone: float
    hr_10: float
    ndcg_10: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One way, beside what it was made from.

    Attributes:
        way: as `model.compression.methods` reads it.
        figures: of the compressed model.
        faster: users a second in batches of 64, as a multiple; median of ratios within a round.
        faster_alone: the same one by one.
        hr: what HR@10 gained, with its 95 % interval.
        ndcg: what NDCG@10 gained, with its 95 % interval.
        ndcg_lost: share of NDCG@10 that was lost; negative if it is better.
        refused: that is more than the bound.
    """

    way: str
    figures: Figures
    faster: float
    faster_alone: float
    hr: Interval
    ndcg: Interval
    ndcg_lost: float
    refused: bool

    @property
    def reaches_goal(self) -> bool:
        """Whether it is twice as fast for at most 1 % of NDCG@10, and was not refused."""
        return not self.refused and self.faster >= GOAL_FASTER and self.ndcg_lost <= GOAL_LOSS


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """All of it.

    Attributes:
        bundle: path of the bundle that was compressed.
        hash: of that bundle.
        recommender: its kind.
        dataset: name of the data set.
        protocol: how accuracy was counted, in words.
        targets: how many behaviours were foreseen.
        users: whose they are.
        max_loss: the bound: share of NDCG@10 that may be lost.
        before: the bundle itself.
        outcomes: the ways, in the order asked for.
    """

    bundle: str
    hash: str
    recommender: str
    dataset: str
    protocol: str
    targets: int
    users: int
    max_loss: float
    before: Figures
    outcomes: tuple[Outcome, ...]

    @property
    def kept(self) -> tuple[Outcome, ...]:
        """Those that are within the bound."""
        return tuple(outcome for outcome in self.outcomes if not outcome.refused)

    @property
    def goal(self) -> str:
        """Whether the goal was reached, in words."""
        wanted = f"{GOAL_FASTER:g} times as fast in batches of {BATCH} for at most {100 * GOAL_LOSS:g} % of NDCG@10"
        if reached := [o for o in self.outcomes if o.reaches_goal]:
            ways = ", ".join(f"{o.way} ({o.faster:.1f} x, {self._gained(o)})" for o in reached)
            return f"Goal, {wanted}: reached by {ways}."
        return f"Goal, {wanted}: not reached."

    def _gained(self, outcome: Outcome) -> str:
        low = 100 * outcome.ndcg.low / self.before.ndcg_10
        return f"{-100 * outcome.ndcg_lost:+.1f} %, at least {low:+.1f} % by its interval"

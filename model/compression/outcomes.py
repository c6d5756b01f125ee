"""The results of compressing a bundle: a row for each method, beside the bundle itself."""

from dataclasses import dataclass

from model.evaluation.measures import Interval

GOAL_FASTER, GOAL_LOSS = 2.0, 0.01
"""The goal: twice as fast for a loss of at most 1 % of NDCG@10."""
BATCH = 64
"""The job's default for the most users that it scores in one call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The size, speed and accuracy of one model.

    Attributes:
        model_bytes: size of the TorchScript file, bytes.
        users_per_s: users per second on one thread, in batches of 64, or of all targets if these are fewer.
        users_per_s_alone: users per second on one thread, one by one.
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
    """The result of one method, beside the original model.

    Attributes:
        way: the method, as `model.compression.methods` reads it.
        figures: figures of the compressed model.
        faster: users per second in batches of 64, as a multiple of the original's; median of the rounds' ratios.
        faster_alone: the same, one by one.
        hr: gain of HR@10, with its 95 % interval.
        ndcg: gain of NDCG@10, with its 95 % interval.
        ndcg_lost: lost share of the original's NDCG@10; negative if the compressed model is better.
        recall: share of the ten best items that it finds where it scores a part of them; None if it scores all.
        refused: true if `ndcg_lost` is above the bound.
    """

    way: str
    figures: Figures
    faster: float
    faster_alone: float
    hr: Interval
    ndcg: Interval
    ndcg_lost: float
    recall: float | None
    refused: bool

    @property
    def reaches_goal(self) -> bool:
        """Return true if it is twice as fast for a loss of at most 1 % of NDCG@10, and was not refused."""
        return not self.refused and self.faster >= GOAL_FASTER and self.ndcg_lost <= GOAL_LOSS


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The whole result of compressing a bundle.

    Attributes:
        bundle: path of the original bundle.
        hash: hash of the original bundle.
        recommender: its kind, without options.
        dataset: name of the data set.
        protocol: rules by which accuracy is counted, in words.
        targets: number of behaviours to predict.
        users: number of users whose behaviours they are.
        max_loss: the bound: share of NDCG@10 that may be lost.
        before: figures of the original bundle.
        outcomes: a result for each method, in the order asked for.
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
        """Return the outcomes within the bound."""
        return tuple(outcome for outcome in self.outcomes if not outcome.refused)

    @property
    def goal(self) -> str:
        """Return a sentence: the goal, and the methods that reach it."""
        wanted = f"{GOAL_FASTER:g} times as fast in batches of {BATCH} for at most {100 * GOAL_LOSS:g} % of NDCG@10"
        reached = []
        for outcome in self.outcomes:
            if outcome.reaches_goal:
                low = 100 * outcome.ndcg.low / self.before.ndcg_10
                gained = f"{-100 * outcome.ndcg_lost:+.1f} %, at least {low:+.1f} % by its interval"
                reached.append(f"{outcome.way} ({outcome.faster:.1f} x, {gained})")
        return f"Goal, {wanted}: reached by {', '.join(reached)}." if reached else f"Goal, {wanted}: not reached."

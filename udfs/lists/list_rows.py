"""The rows that update-lists writes, as lines of JSON."""

from typing import NamedTuple

from udfs.elements import Candidates, ModelRef, ScoredBehavior, Swap
from udfs.lists.user_list import Policy, UserList, reason_text
from udfs.rows import ModelSwapRow, PredictionResultRow, RecommendationListRow, to_line


class MadeFrom(NamedTuple):
    """Which model serves the user, None where none does, and which trends had a part in the list, if any."""

    model: ModelRef | None
    trend_snapshot: int | None


def recommendation_list_row(
    user_list: UserList, scored: ScoredBehavior, made_from: MadeFrom, policy: Policy, stamp: tuple[int, int]
) -> str:
    """The line of a list; `stamp` is (clock, epoch)."""
    behavior = scored.behavior
    model = made_from.model
    scored_by = None if scored.candidates is None else model
    return to_line(
        RecommendationListRow(
            behavior.user_id,
            user_list.items,
            [round(score, 6) for score in user_list.scores],
            [reason_text(reason) for reason in user_list.reasons],
            user_list.list_version,
            user_list.user_seq,
            behavior.action,
            behavior.item_id,
            behavior.log_partition,
            behavior.log_offset,
            policy.value,
            _source(scored, policy),
            scored.fallback_reason,
            None if scored_by is None else scored_by.version,
            None if scored_by is None else scored_by.hash,
            None if model is None else model.variant,
            made_from.trend_snapshot,
            scored.batch_size,
            behavior.timestamp,
            behavior.appended_at,
            *stamp,
        )
    )


def model_swap_row(swap: Swap, stamp: tuple[int, int]) -> str:
    """The line of a swap; `stamp` is (clock, epoch)."""
    model = swap.model
    return to_line(
        ModelSwapRow(swap.scorer, model.variant, model.version, model.hash, swap.outcome, swap.problem, swap.at, *stamp)
    )


def prediction_result_rows(
    scored: ScoredBehavior, candidates: Candidates, model: ModelRef, stamp: tuple[int, int]
) -> str:
    """The lines of all candidates of one behaviour; `stamp` is (clock, epoch)."""
    behavior = scored.behavior
    rows = (
        PredictionResultRow(
            behavior.user_id,
            item_id,
            score,
            rank,
            scored.user_seq,
            behavior.log_partition,
            behavior.log_offset,
            model.version,
            model.hash,
            model.variant,
            behavior.timestamp,
            *stamp,
        )
        for rank, (item_id, score) in enumerate(zip(candidates.items, candidates.scores(), strict=True))
    )
    return "\n".join(map(to_line, rows))


def _source(scored: ScoredBehavior, policy: Policy) -> str:
    if policy is Policy.HISTORY:
        return "rules"
    return "scored" if scored.candidates is not None else "fallback"

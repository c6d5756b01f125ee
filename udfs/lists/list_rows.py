"""The rows that update-lists writes."""

from udfs.elements import Candidates, ModelRef, ScoredBehavior, Swap
from udfs.lists.entries import reason_text
from udfs.lists.list_rules import Policy
from udfs.lists.user_list import UserList
from udfs.rows import ModelSwapRow, PredictionResultRow, RecommendationListRow


def recommendation_list_row(
    user_list: UserList,
    scored: ScoredBehavior,
    policy: Policy,
    *,
    is_held: bool = False,
    model: ModelRef | None,
    trend_snapshot: int | None,
    now_ms: int,
    epoch: int,
) -> RecommendationListRow:
    """Return the row of a list.

    Args:
        user_list: the list that was made.
        scored: the behaviour that it was made for.
        policy: the policy by which it was made.
        is_held: whether it was made without the candidates, as it is too young.
        model: the one that serves the user; None where none does.
        trend_snapshot: number of the trends that had a part in it, if any.
        now_ms: the clock.
        epoch: of the element.
    """
    behavior = scored.behavior
    scoring_model = None if scored.candidates is None or is_held else model
    return RecommendationListRow(
        user_id=behavior.user_id,
        items=user_list.items,
        scores=[round(score, 6) for score in user_list.scores],
        reasons=[reason_text(reason) for reason in user_list.reasons],
        propensities=user_list.propensities.tolist() or None,
        list_version=user_list.list_version,
        user_seq=user_list.user_seq,
        action=behavior.action,
        item_id=behavior.item_id,
        log_partition=behavior.log_partition,
        log_offset=behavior.log_offset,
        policy=policy.value,
        source=_source(scored, policy, is_held=is_held),
        fallback_reason=scored.fallback_reason,
        model_version=None if scoring_model is None else scoring_model.version,
        model_hash=None if scoring_model is None else scoring_model.hash,
        variant=None if model is None else model.variant,
        trend_snapshot=trend_snapshot,
        batch_size=scored.batch_size,
        timestamp=behavior.timestamp,
        appended_at=behavior.appended_at,
        written_at=now_ms,
        epoch=epoch,
    )


def _source(scored: ScoredBehavior, policy: Policy, *, is_held: bool) -> str:
    if policy is Policy.HISTORY or (is_held and scored.candidates is not None):
        return "rules"
    return "fallback" if scored.candidates is None else "scored"


def model_swap_row(swap: Swap, *, now_ms: int, epoch: int) -> ModelSwapRow:
    """Return the row of a swap."""
    return ModelSwapRow(
        scorer=swap.scorer,
        variant=swap.model.variant,
        model_version=swap.model.version,
        model_hash=swap.model.hash,
        outcome=swap.outcome,
        problem=swap.problem,
        timestamp=swap.at,
        written_at=now_ms,
        epoch=epoch,
    )


def prediction_result_rows(
    scored: ScoredBehavior, candidates: Candidates, model: ModelRef, *, now_ms: int, epoch: int
) -> list[PredictionResultRow]:
    """Return the rows of all candidates of one behaviour, best first."""
    behavior = scored.behavior
    return [
        PredictionResultRow(
            user_id=behavior.user_id,
            item_id=item_id,
            score=score,
            rank=rank,
            user_seq=scored.user_seq,
            log_partition=behavior.log_partition,
            log_offset=behavior.log_offset,
            model_version=model.version,
            model_hash=model.hash,
            variant=model.variant,
            timestamp=behavior.timestamp,
            written_at=now_ms,
            epoch=epoch,
        )
        for rank, (item_id, score) in enumerate(zip(candidates.items, candidates.scores(), strict=True))
    ]

"""The rows of decisions: what a round or a look at the live hit rate found, and what follows from it."""

import msgspec

from job.learning.live import Live
from job.learning.state import LearnState, Plan, Promoted
from model.learning.gate import Evidence, Verdict
from model.records import EpochMs
from udfs.rows import ModelUpdateRow


def about(model: str, state: LearnState, plan: Plan, *, behaviors: int, cut_off: EpochMs) -> ModelUpdateRow:
    """Return the row of a round whose candidate is not there yet."""
    return ModelUpdateRow(
        model=model,
        decision_number=state.decided + 1,
        decision="refused",
        reason="",
        model_version=plan.version,
        served_version=plan.served.id,
        served_hash=plan.served.hash,
        cut_off=cut_off,
        behaviors=behaviors,
        timestamp=plan.planned_at_ms,
        written_at=plan.planned_at_ms,
    )


def could_not(row: ModelUpdateRow, error: Exception) -> ModelUpdateRow:
    """Return the row of a round whose candidate could not be trained, or gave answers that cannot be served."""
    return msgspec.structs.replace(row, reason=f"it could not be trained: {error}")


def judged(row: ModelUpdateRow, model_hash: str, found: Evidence, verdict: Verdict) -> ModelUpdateRow:
    """Return the row of a round with the gate's verdict, and the figures that it rests on."""
    candidate, served = found.candidate, found.served
    return msgspec.structs.replace(
        row,
        decision="promoted" if verdict.promoted else "refused",
        reason=verdict.reason,
        model_hash=model_hash,
        targets=found.targets,
        users=found.users,
        hit_rate=candidate.hr,
        served_hit_rate=served.hr,
        ndcg=candidate.ndcg,
        served_ndcg=served.ndcg,
        gain_low=found.gain.low,
        gain_high=found.gain.high,
        listed=candidate.listed,
        served_listed=served.listed,
        batch_ms=candidate.batch_ms,
        served_batch_ms=served.batch_ms,
    )


def rolled_back(model: str, state: LearnState, promoted: Promoted, live: Live, at_ms: EpochMs) -> ModelUpdateRow:
    """Return the row of a promotion that is taken back, since its live hit rate fell."""
    since, before = float(live.since.mean()), float(live.before.mean())
    low, high = live.gap.interval or (None, None)
    return ModelUpdateRow(
        model=model,
        decision_number=state.decided + 1,
        decision="rolled_back",
        reason=f"of what users took, {since:.4f} was in its lists, and {before:.4f} in those of the version before",
        model_version=promoted.version.id,
        model_hash=promoted.version.hash,
        served_version=promoted.before.id,
        served_hash=promoted.before.hash,
        behaviors=sum(segment.behaviors for segment in state.segments),
        targets=live.behaviors,
        users=len(live.since),
        hit_rate=since,
        served_hit_rate=before,
        gain_low=low,
        gain_high=high,
        timestamp=at_ms,
        written_at=at_ms,
    )


def turned_down(row: ModelUpdateRow, error: Exception) -> ModelUpdateRow:
    """Return the row of a decision that the registry did not carry out."""
    return msgspec.structs.replace(row, decision="refused", reason=str(error))

"""Load shedding: behaviours that are not scored, so that the model has time for the others; they get fallback lists.

Pure asyncio: no Flink, no torch.
"""

from collections.abc import Awaitable, Callable, Sequence

from udfs.elements import FallbackReason, TrackedBehavior
from udfs.model_serving.model_calls import Answered
from udfs.model_serving.model_thread import Answer


def too_old(behaviors: Sequence[TrackedBehavior], oldest_ms: float) -> list[bool]:
    """Return whether each behaviour was appended before `oldest_ms`; False where its append time is not known."""
    return [(at := each.behavior.appended_at) is not None and at < oldest_ms for each in behaviors]


def overtaken(behaviors: Sequence[TrackedBehavior]) -> list[bool]:
    """Return whether each behaviour is followed by another of its user, whose list will replace its own at once."""
    newest = {each.behavior.user_id: each.user_seq for each in behaviors}
    return [each.user_seq != newest[each.behavior.user_id] for each in behaviors]


async def submit_unshed(
    behaviors: Sequence[TrackedBehavior],
    reasons: Sequence[FallbackReason | None],
    submit: Callable[[Sequence[TrackedBehavior]], Awaitable[list[Answered[Answer]]]],
) -> list[Answered[Answer]]:
    """Submit the behaviours without a reason, and return all behaviours' answers, in order.

    Those with a reason are answered with it, and `submit` never sees them.
    """
    answers = iter(await submit([each for each, reason in zip(behaviors, reasons, strict=True) if reason is None]))
    return [
        next(answers) if reason is None else Answered(answer=None, failure=reason, batch_size=0) for reason in reasons
    ]

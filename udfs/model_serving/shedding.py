"""Sparing: behaviours that the model is never asked about, so that it has time for the others; the rules alone go on.

Pure asyncio: no Flink, no torch.
"""

from collections.abc import Awaitable, Callable, Sequence

from udfs.elements import FallbackReason, TrackedBehavior
from udfs.model_serving.model_calls import Answered
from udfs.model_serving.model_thread import Answer


def too_old(behaviors: Sequence[TrackedBehavior], oldest_ms: float) -> list[bool]:
    """Which were appended before `oldest_ms`; one whose append time is not known never was."""
    return [(at := each.behavior.appended_at) is not None and at < oldest_ms for each in behaviors]


def overtaken(behaviors: Sequence[TrackedBehavior]) -> list[bool]:
    """Which are followed by another one of the same user, whose list will replace theirs at once."""
    newest = {each.behavior.user_id: each.user_seq for each in behaviors}
    return [each.user_seq != newest[each.behavior.user_id] for each in behaviors]


async def sparing(
    behaviors: Sequence[TrackedBehavior],
    reasons: Sequence[FallbackReason | None],
    submit: Callable[[Sequence[TrackedBehavior]], Awaitable[list[Answered[Answer]]]],
) -> list[Answered[Answer]]:
    """What `submit` answers, in the behaviours' order; those with a reason it never sees."""
    answers = iter(await submit([each for each, reason in zip(behaviors, reasons, strict=True) if reason is None]))
    return [next(answers) if reason is None else Answered(None, reason, 0) for reason in reasons]

"""Shedding: what is too old when it comes to be scored goes on by the rules alone, so that newer ones are fresh again.

Pure asyncio: no Flink, no torch.
"""

from collections.abc import Awaitable, Callable, Sequence

from udfs.elements import TrackedBehavior
from udfs.model_calls import Answered, FallbackReason
from udfs.model_thread import Answer


async def shed(
    behaviors: Sequence[TrackedBehavior],
    oldest_ms: float,
    submit: Callable[[Sequence[TrackedBehavior]], Awaitable[list[Answered[Answer]]]],
) -> list[Answered[Answer]]:
    """What `submit` answers, in the behaviours' order; those that were appended before `oldest_ms` it never sees.

    One whose append time is not known is never shed.
    """
    too_old = [_appended_before(oldest_ms, each) for each in behaviors]
    answers = iter(await submit([each for each, is_old in zip(behaviors, too_old, strict=True) if not is_old]))
    return [Answered(None, FallbackReason.SHED, 0) if is_old else next(answers) for is_old in too_old]


def _appended_before(oldest_ms: float, tracked: TrackedBehavior) -> bool:
    appended_at = tracked.behavior.appended_at
    return appended_at is not None and appended_at < oldest_ms

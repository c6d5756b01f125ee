"""Shedding: what is too old when it comes to be scored goes on by the rules alone, so that newer ones are fresh again.

Pure asyncio: no Flink, no torch.
"""

from collections.abc import Awaitable, Callable, Sequence

from udfs.elements import Candidates, TrackedBehavior
from udfs.model_calls import Answered, FallbackReason

Scored = list[Answered[Candidates]]
_SHED: Answered[Candidates] = Answered(None, FallbackReason.SHED, 0)


async def shed(
    behaviors: Sequence[TrackedBehavior],
    oldest_ms: float,
    submit: Callable[[Sequence[TrackedBehavior]], Awaitable[Scored]],
) -> Scored:
    """What `submit` answers, in the behaviours' order; those that were appended before `oldest_ms` it never sees.

    One whose append time is not known is never shed.
    """
    kept = [each for each in behaviors if not _appended_before(oldest_ms, each)]
    answers = iter(await submit(kept))
    return [_SHED if _appended_before(oldest_ms, each) else next(answers) for each in behaviors]


def _appended_before(oldest_ms: float, tracked: TrackedBehavior) -> bool:
    appended_at = tracked.behavior.appended_at
    return appended_at is not None and appended_at < oldest_ms

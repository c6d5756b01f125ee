"""The workers of all variants: each behaviour goes to its user's variant, and the answers come back in order.

Pure asyncio: no Flink, no torch.
"""

import asyncio
from collections.abc import Mapping, Sequence

from udfs.elements import ListOwner, ModelRef, ScoredBehavior, Sweep, TrackedBehavior
from udfs.model_serving.model_calls import Answered
from udfs.model_serving.variant_worker import Lane, Scored
from udfs.model_serving.variants import Variants

_Answer = tuple[Lane, Answered[Scored]]


class Lanes:
    """The variant workers of one scorer. Lives on one event loop."""

    def __init__(self, lanes: Mapping[str, Lane], variants: Variants) -> None:
        self._lanes = lanes
        self._variants = variants
        self._only = next(iter(lanes.values())) if len(lanes) == 1 else None

    async def score(self, behaviors: Sequence[TrackedBehavior]) -> tuple[list[ModelRef], list[ScoredBehavior]]:
        """Return the models, and the behaviours in order, with candidates or without; they name models by number.

        A behaviour without candidates names the model that serves its user now.
        """
        models: dict[ModelRef, int] = {}
        scored = []
        for behavior, (lane, answered) in zip(behaviors, await self._answers(behaviors), strict=True):
            candidates, served = answered.answer or (None, lane.served)
            model = models.setdefault(served.ref, len(models))
            size = None if candidates is None else answered.batch_size
            scored.append(
                ScoredBehavior(
                    behavior=behavior.behavior,
                    user_seq=behavior.user_seq,
                    history=behavior.history,
                    excluded=behavior.excluded + served.scorer.disliked_neighbors(behavior.disliked),
                    shown=behavior.shown,
                    candidates=candidates,
                    fallback_reason=answered.failure,
                    model=model,
                    batch_size=size,
                )
            )
        return list(models), scored

    def exclude_neighbors(self, sweep: Sweep) -> Sweep:
        """Return the sweep; each user's excluded items now include the neighbours of the newest dislikes."""
        owners = [
            ListOwner(
                each.user_id,
                each.excluded + self._lane_of(each.user_id).served.scorer.disliked_neighbors(each.disliked),
                each.disliked,
            )
            for each in sweep.owners
        ]
        return Sweep(sweep.begun, owners)

    def close(self) -> None:
        """Let the models' threads end."""
        for lane in self._lanes.values():
            lane.close()

    async def _answers(self, behaviors: Sequence[TrackedBehavior]) -> list[_Answer]:
        if self._only is not None:
            return [(self._only, answer) for answer in await self._only.submit(behaviors)]
        lanes = [self._lane_of(each.behavior.user_id) for each in behaviors]
        shares: dict[Lane, list[TrackedBehavior]] = {}
        for lane, each in zip(lanes, behaviors, strict=True):
            shares.setdefault(lane, []).append(each)
        answers = await asyncio.gather(*(lane.submit(share) for lane, share in shares.items()))
        answers_of = {lane: iter(answered) for lane, answered in zip(shares, answers, strict=True)}
        return [(lane, next(answers_of[lane])) for lane in lanes]

    def _lane_of(self, user_id: str) -> Lane:
        return self._only or self._lanes[self._variants.of(user_id)]

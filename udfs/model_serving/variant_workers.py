"""The workers of variants: each asks the model of its variant, which may be replaced between two batches.

Each behaviour goes to the worker of its user's variant, and the answers come back in order.

Pure asyncio: no Flink, no torch.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from model.errors import RecloopError
from udfs.elements import (
    Candidates,
    FallbackReason,
    ListOwner,
    ModelRef,
    ScoredBehavior,
    Sweep,
    TrackedBehavior,
)
from udfs.model_serving.batching import BatchRules, MicroBatcher
from udfs.model_serving.model_calls import Answered, CallRules, ModelCalls
from udfs.model_serving.shedding import overtaken, submit_unshed, too_old
from udfs.model_serving.variants import Variants


class Scores(Protocol):
    """The part of a scorer that a variant's worker needs."""

    def answers(self, tracked: Sequence[TrackedBehavior]) -> Sequence[Candidates | Exception]:
        """Return each history's candidates, or the fault of the model's answer to it."""
        ...

    def disliked_neighbors(self, disliked: bytes) -> bytes:
        """Return the neighbours of the newest dislikes, which must not be shown; both as packed hashes."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Served:
    """A model, loaded and warm, and its name in rows."""

    ref: ModelRef
    scorer: Scores


class ColdModelError(RecloopError):
    """A model that cannot be warmed up.

    A job that starts goes on with it, by fallback lists; a job that has another model keeps that one.

    Attributes:
        served: that model; it answers once it can.
    """

    def __init__(self, served: Served, problem: str) -> None:
        super().__init__(problem)
        self.served = served


class ModelHangsError(ColdModelError):
    """A model that does not come back from its warm-up."""

    def __init__(self, served: Served) -> None:
        super().__init__(served, "the model does not come back from its warm-up")


class ModelFailsError(ColdModelError):
    """A model that raises in its warm-up, or answers wrongly."""


class Scored(NamedTuple):
    """Candidates, and the model that proposed them."""

    candidates: Candidates
    served: Served


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRules:
    """Rules by which a variant's worker asks its model.

    Attributes:
        batches: rules for filling calls.
        calls: limits of calls.
        shed_after_ms: a behaviour that was appended longer ago is not scored; None: all are.
        coalesce: whether a behaviour is left unscored if it is submitted with a newer one of its user.
    """

    batches: BatchRules
    calls: CallRules
    shed_after_ms: float | None
    coalesce: bool


class VariantWorker:
    """A worker that asks one model until another is offered.

    It lives on one event loop; `offer` may be called from any thread. Each model has a thread of its own, so that one
    that hangs keeps nobody from asking the next.
    """

    def __init__(self, served: Served, rules: WorkerRules, on_failure: Callable[[BaseException], None]) -> None:
        self._rules = rules
        self._on_failure = on_failure
        self._served = self._offered = served
        self._calls = self._calls_of(served)
        self._batcher = MicroBatcher(self._ask, rules.batches)

    @property
    def served(self) -> Served:
        """The model that answers the next batch."""
        return self._offered

    def offer(self, served: Served) -> None:
        """Have this model answer from the next batch on; a batch under way is answered by the one before."""
        self._offered = served

    async def submit(self, behaviors: Sequence[TrackedBehavior]) -> list[Answered[Scored]]:
        """Return the model's answer to each behaviour, in their order."""
        if self._rules.shed_after_ms is None and not self._rules.coalesce:
            return await self._batcher.submit(behaviors)
        reasons: list[FallbackReason | None] = [None] * len(behaviors)
        if self._rules.coalesce:
            reasons = [FallbackReason.COALESCED if each else None for each in overtaken(behaviors)]
        if self._rules.shed_after_ms is not None:
            old = too_old(behaviors, time.time() * 1000 - self._rules.shed_after_ms)
            reasons = [FallbackReason.SHED if each else reason for each, reason in zip(old, reasons, strict=True)]
        return await submit_unshed(behaviors, reasons, self._batcher.submit)

    def close(self) -> None:
        """Let the model's thread end."""
        self._calls.close()

    async def _ask(self, behaviors: list[TrackedBehavior]) -> list[Answered[Scored]]:
        """Ask one model about the whole batch: a model that is offered meanwhile waits for the next."""
        if self._served is not (offered := self._offered):
            self._calls.close()
            self._served, self._calls = offered, self._calls_of(offered)
        answers = await self._calls(behaviors)
        return [
            Answered(
                answer=None if each.answer is None else Scored(candidates=each.answer, served=offered),
                failure=each.failure,
                batch_size=each.batch_size,
            )
            for each in answers
        ]

    def _calls_of(self, served: Served) -> ModelCalls[TrackedBehavior, Candidates]:
        return ModelCalls(served.scorer.answers, self._rules.calls, self._on_failure)


class VariantWorkers:
    """The variant workers of one scorer. Lives on one event loop."""

    def __init__(self, workers: Mapping[str, VariantWorker], variants: Variants, enough: int | None = None) -> None:
        """Take the workers of all variants.

        Args:
            workers: by the variants' names.
            variants: the assignment of users.
            enough: number of candidates that make a list without anything else; None: no number does.
        """
        self._workers = workers
        self._enough = math.inf if enough is None else enough
        self._variants = variants
        self._only = next(iter(workers.values())) if len(workers) == 1 else None

    async def score(self, behaviors: Sequence[TrackedBehavior]) -> tuple[list[ModelRef], list[ScoredBehavior]]:
        """Return the models, and the behaviours in order, with candidates or without; they name models by number.

        A behaviour without candidates names the model that serves its user now.
        """
        models: dict[ModelRef, int] = {}
        scored = []
        for behavior, (worker, answered) in zip(behaviors, await self._answers(behaviors), strict=True):
            candidates, served = answered.answer or (None, worker.served)
            model = models.setdefault(served.ref, len(models))
            size = None if candidates is None else answered.batch_size
            # Both are most of what is sent back, and are read only to fill a list up.
            is_enough = candidates is not None and len(candidates.items) >= self._enough
            scored.append(
                ScoredBehavior(
                    behavior=behavior.behavior,
                    user_seq=behavior.user_seq,
                    history=b"" if is_enough else behavior.history,
                    excluded=None if is_enough else _excluded(behavior, served),
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
                user_id=each.user_id,
                excluded=each.excluded + self._worker_of(each.user_id).served.scorer.disliked_neighbors(each.disliked),
                disliked=each.disliked,
            )
            for each in sweep.owners
        ]
        return Sweep(begun=sweep.begun, owners=owners)

    def close(self) -> None:
        """Let the models' threads end."""
        for worker in self._workers.values():
            worker.close()

    async def _answers(self, behaviors: Sequence[TrackedBehavior]) -> list[tuple[VariantWorker, Answered[Scored]]]:
        if self._only is not None:
            return [(self._only, answer) for answer in await self._only.submit(behaviors)]
        workers = [self._worker_of(each.behavior.user_id) for each in behaviors]
        shares: dict[VariantWorker, list[TrackedBehavior]] = {}
        for worker, each in zip(workers, behaviors, strict=True):
            shares.setdefault(worker, []).append(each)
        answers = await asyncio.gather(*(worker.submit(share) for worker, share in shares.items()))
        answers_of = {worker: iter(answered) for worker, answered in zip(shares, answers, strict=True)}
        return [(worker, next(answers_of[worker])) for worker in workers]

    def _worker_of(self, user_id: str) -> VariantWorker:
        return self._only or self._workers[self._variants.of(user_id)]


def _excluded(behavior: TrackedBehavior, served: Served) -> bytes:
    return behavior.excluded + served.scorer.disliked_neighbors(behavior.disliked)

"""score-candidates: the operator that asks a model for candidates, in micro-batches over all elements under way.

A user's variant decides which model is asked, and a variant's model may change between two batches. If a model is late,
fails or hangs, the behaviours go on without scores and get fallback lists, which are counted and marked in the rows.
"""

import logging
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Literal

from pyflink.common import Row
from pyflink.datastream import AsyncFunction, RuntimeContext

from model.bundles.bundle import Bundle
from model.registry.bundle_source import FromRegistry
from model.registry.pointers import Version
from udfs.elements import ModelRef, ScoredElement, Swap, decode_tracked, encode, with_candidates
from udfs.flink.collector import pauses, settle
from udfs.flink.worker_life import end_with_task_manager
from udfs.model_serving.batching import BatchRules
from udfs.model_serving.follow_models import Followed, ModelFollower
from udfs.model_serving.idle_time import IdleTime
from udfs.model_serving.model_calls import CallRules
from udfs.model_serving.model_thread import finished_within
from udfs.model_serving.variant_workers import (
    ColdModelError,
    ModelFailsError,
    ModelHangsError,
    Served,
    VariantWorker,
    VariantWorkers,
    WorkerRules,
)
from udfs.model_serving.variants import Variant, Variants
from udfs.scoring.scoring_rules import CacheRules, DeviceRules, ScoringRules

_log = logging.getLogger(__name__)
_WARM_UP_S = 10.0
"""Longest wait for a warm-up: a model that hangs must not hold up the job, which goes on without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """The models to serve, the users they serve, and the rules for asking them.

    Attributes:
        variants: at least one; those that follow pointers follow those of one model in one registry.
        salt: salt of the hash that assigns users to variants.
        poll_s: time from one poll of the registry's pointers to the next.
        threads: torch's threads inside one operation.
        device: where models run.
        batches: rules for filling calls.
        calls: limits of calls.
        shed_after_ms: a behaviour that was appended longer ago is not scored; None: all are.
        coalesce: whether a behaviour is left unscored if its element has a newer one of the same user.
        cache: rules for storing the models' answers.
        enough: number of candidates that make a list without anything else; None: no number does.
    """

    variants: tuple[Variant, ...]
    salt: str
    poll_s: float
    threads: int
    device: DeviceRules
    batches: BatchRules
    calls: CallRules
    shed_after_ms: float | None
    coalesce: bool
    cache: CacheRules
    enough: int | None


class ScoreCandidates(AsyncFunction):
    """The operator score-candidates.

    In: Row(bucket's key, TrackedElement). Out: Row(bucket's key, ScoredElement), in the same order.
    """

    def __init__(self, serving: Serving, rules: ScoringRules) -> None:
        self._serving = serving
        self._rules = rules

    def open(self, context: RuntimeContext) -> None:
        """Load each variant's bundle, check its hashes, warm up the models, and follow the registry's pointers.

        Raises:
            BundleError: a bundle is not whole.
            BundleChangedError: a bundle is not the one the job was deployed with.
            RegistryError: the registry does not name a version to serve, and nothing was served here before.
            DeviceMissingError: the device is missing, and the settings allow no other.
        """
        end_with_task_manager()
        # Imported where it is used: torch takes seconds, and the process that submits the job does not need it.
        import torch

        from udfs.scoring.score_cache import ScoreCache

        torch.set_num_threads(self._serving.threads)
        self._scorer = context.get_index_of_this_subtask()
        self._swaps: deque[Swap] = deque()
        self._idle = IdleTime()
        self._model_errors = 0
        cache = self._serving.cache
        self._cache = ScoreCache(cache) if cache.megabytes else None
        variants = self._serving.variants
        # The states that one worker keeps are bounded, however many variants share the memory.
        self._rules = replace(self._rules, kept_mb=self._rules.kept_mb / len(variants))
        workers = {variant.name: self._worker(variant) for variant in variants}
        assignment = Variants({each.name: each.weight for each in variants}, self._serving.salt)
        self._workers = VariantWorkers(workers, assignment, self._serving.enough)
        followed = [
            Followed(variant=each.name, worker=workers[each.name], source=each.source)
            for each in variants
            if isinstance(each.source, FromRegistry) and each.source.follows
        ]
        self._follower = ModelFollower(followed, self._load, self._on_swap) if followed else None
        if self._follower is not None:
            self._follower.start(self._serving.poll_s)
        settle()

    def close(self) -> None:
        """Let the threads end, and remove the score cache."""
        if self._follower is not None:
            self._follower.close()
        self._workers.close()
        if self._cache is not None:
            self._cache.close()

    async def async_invoke(self, value: Row) -> list[Row]:
        """Score one element's behaviours."""
        self._idle.begin(time.monotonic())
        try:
            return [Row(value[0], await self._score(value[1]))]
        finally:
            self._idle.end(time.monotonic())

    async def _score(self, tracked: bytes) -> bytes:
        element = decode_tracked(tracked)
        models, behaviors = await self._workers.score(element.behaviors)
        swaps = [self._swaps.popleft() for _ in range(len(self._swaps))]
        gaps, gap_ms = self._idle.take()
        scored = ScoredElement(
            epoch=element.epoch,
            duplicates=element.duplicates,
            models=models,
            behaviors=behaviors,
            swaps=swaps,
            sweep=None if element.sweep is None else self._workers.exclude_neighbors(element.sweep),
            pauses=pauses(),
            gaps=gaps,
            gap_ms=gap_ms,
        )
        return encode(scored)

    def _worker(self, variant: Variant) -> VariantWorker:
        try:
            served = variant.source.load_first(lambda bundle: self._load(variant.name, bundle))
            if isinstance(variant.source, FromRegistry):
                variant.source.remember(Version(served.ref.version, served.ref.hash))
        except ColdModelError as error:
            # Failing the task would help nobody: the deployment tried the model, so it fails for now, or for good; in
            # both cases fallback lists are better than none.
            _log.error("%s: lists are fallback lists while it does not answer", error)
            served = error.served
        self._report(Swap(scorer=self._scorer, model=served.ref, outcome="started", problem=None, at=_now_ms()))
        serving = self._serving
        rules = WorkerRules(
            batches=serving.batches,
            calls=serving.calls,
            shed_after_ms=serving.shed_after_ms,
            coalesce=serving.coalesce,
        )
        return VariantWorker(served, rules, self._on_failure)

    def _load(self, variant: str, bundle: Bundle) -> Served:
        """Load a model and warm it up; called beside the event loop when the model replaces another.

        Raises:
            ModelHangsError: it does not come back from its warm-up.
            ModelFailsError: it raises in its warm-up, or answers wrongly.
        """
        from udfs.scoring.device import open_device
        from udfs.scoring.scorer import Scorer

        scorer = Scorer(bundle, self._rules, open_device(self._serving.device), self._cache)
        served = Served(ModelRef(version=bundle.manifest.version, hash=bundle.hash, variant=variant), scorer)
        try:
            is_warm = finished_within(_WARM_UP_S, lambda: scorer.warm_up(self._serving.batches.max_size))
        except Exception as error:  # whatever a model raises
            raise ModelFailsError(served, str(error)) from error
        if not is_warm:
            raise ModelHangsError(served)
        return served

    def _on_swap(self, model: ModelRef, problem: str | None) -> None:
        outcome: Literal["failed", "swapped"] = "failed" if problem else "swapped"
        self._report(Swap(scorer=self._scorer, model=model, outcome=outcome, problem=problem, at=_now_ms()))
        settle()

    def _report(self, swap: Swap) -> None:
        """Queue the swap for the next element; log at once that a model is served."""
        self._swaps.append(swap)
        if swap.problem is None:
            _log.info("scorer %d serves version %s as %s", swap.scorer, swap.model.version, swap.model.variant)

    def _on_failure(self, error: BaseException) -> None:
        """Log the 1st, 2nd, 4th, 8th ... failure; all are counted as fallbacks."""
        self._model_errors += 1
        if self._model_errors & (self._model_errors - 1) == 0:
            _log.warning("the model failed, %d times so far", self._model_errors, exc_info=error)


class PassUnscored(AsyncFunction):
    """The operator score-candidates for policies that need no model: every behaviour is passed on as it is."""

    def open(self, _context: RuntimeContext) -> None:
        """Have this worker end with its TaskManager; nothing has to be loaded."""
        end_with_task_manager()
        settle()

    async def async_invoke(self, value: Row) -> list[Row]:
        """Turn a TrackedElement into a ScoredElement without candidates."""
        element = decode_tracked(value[1])
        behaviors = [with_candidates(tracked, None) for tracked in element.behaviors]
        scored = ScoredElement(
            epoch=element.epoch,
            duplicates=element.duplicates,
            models=[],
            behaviors=behaviors,
            sweep=element.sweep,
            pauses=pauses(),
        )
        return [Row(value[0], encode(scored))]


def _now_ms() -> int:
    return int(time.time() * 1000)

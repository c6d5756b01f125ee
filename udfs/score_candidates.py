"""score-candidates: asks the model for candidates, in micro-batches over all elements that are under way.

If the model is late or fails, the behaviours go on without scores and the rules alone make their lists: it is
counted, and written on the rows.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from pyflink.common import Row
from pyflink.datastream import AsyncFunction, RuntimeContext

from model.bundle import Bundle
from udfs.batching import Answered, BatchRules, MicroBatcher
from udfs.elements import (
    Candidates,
    ModelRef,
    ScoredBehavior,
    ScoredElement,
    TrackedBehavior,
    decode_tracked,
    encode,
)
from udfs.scoring_rules import CacheRules, DeviceRules, ScoringRules
from udfs.worker_life import end_with_task_manager

_log = logging.getLogger(__name__)
_Batcher = MicroBatcher[TrackedBehavior, Candidates]


@dataclass(frozen=True, slots=True)
class Serving:
    """Which bundle is served, and how.

    Attributes:
        bundle: its folder, on every TaskManager that scores.
        bundle_hash: the hash it must have; None takes what is there.
        variant: the name its rows carry.
        threads: torch's threads inside one operation.
        device: where the model runs.
        cache: what is stored of the model's answers.
    """

    bundle: Path
    bundle_hash: str | None = None
    variant: str = "default"
    threads: int = 1
    device: DeviceRules = field(default_factory=DeviceRules)
    batches: BatchRules = field(default_factory=BatchRules)
    cache: CacheRules = field(default_factory=CacheRules)


class BundleChangedError(Exception):
    """The bundle's folder holds another bundle than the job was deployed with: deploy again."""


class ScoreCandidates(AsyncFunction):
    """In: Row(bucket's key, TrackedElement). Out: Row(bucket's key, ScoredElement), in the same order."""

    def __init__(self, serving: Serving, rules: ScoringRules) -> None:
        self._serving = serving
        self._rules = rules

    def open(self, _context: RuntimeContext) -> None:
        """Loads the bundle, its hashes checked, and warms the model up.

        Raises:
            BundleError: it is not whole.
            BundleChangedError: it is not the one the job was deployed with.
            DeviceMissingError: the device is not there, and no other may do.
        """
        end_with_task_manager()
        # Imported where it is used: torch takes seconds, and whoever submits the job needs none of it.
        import torch

        from udfs.device import open_device
        from udfs.score_cache import ScoreCache
        from udfs.scoring import Scorer

        serving = self._serving
        torch.set_num_threads(serving.threads)
        bundle = Bundle.load(serving.bundle)
        if serving.bundle_hash not in {None, bundle.hash}:
            msg = f"{serving.bundle} has hash {bundle.hash[:12]}, the job was deployed with {serving.bundle_hash}"
            raise BundleChangedError(msg)
        self._cache = ScoreCache(serving.cache) if serving.cache.megabytes else None
        self._scorer = Scorer(bundle, self._rules, open_device(serving.device), self._cache)
        self._scorer.warm_up(serving.batches.max_size)
        self._models = [ModelRef(bundle.manifest.version, bundle.hash, serving.variant)]
        self._executor = ThreadPoolExecutor(1, "model")
        self._batcher: _Batcher | None = None
        self._model_errors = 0

    def close(self) -> None:
        """Lets the model's thread go, and what it said."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        if self._cache is not None:
            self._cache.close()

    async def async_invoke(self, value: Row) -> list[Row]:
        """Scores one element's behaviours."""
        element = decode_tracked(value[1])
        answers = await self._on_this_loop().submit(element.behaviors)
        behaviors = list(map(self._scored, element.behaviors, answers))
        out = ScoredElement(element.epoch, element.duplicates, self._models, behaviors)
        return [Row(value[0], encode(out))]

    def _on_this_loop(self) -> _Batcher:
        """The batcher; made here because only here the event loop is there."""
        if self._batcher is None:
            self._batcher = _Batcher(self._scorer.score, self._serving.batches, self._executor, self._hear_of_failure)
        return self._batcher

    def _scored(self, tracked: TrackedBehavior, answered: Answered[Candidates]) -> ScoredBehavior:
        return ScoredBehavior(
            tracked.behavior,
            tracked.user_seq,
            tracked.history,
            tracked.excluded + self._scorer.disliked_neighbors(tracked),
            tracked.shown,
            answered.answer,
            answered.failure,
            None if answered.answer is None else 0,
            None if answered.answer is None else answered.batch_size,
        )

    def _hear_of_failure(self, error: BaseException) -> None:
        """Says it at the 1st, 2nd, 4th, 8th ... failure; all are counted as fallbacks."""
        self._model_errors += 1
        if self._model_errors & (self._model_errors - 1) == 0:
            _log.warning("the model failed, %d times so far", self._model_errors, exc_info=error)


class PassUnscored(AsyncFunction):
    """score-candidates for policies that need no model: hands every behaviour on as it is."""

    def open(self, _context: RuntimeContext) -> None:
        """Nothing has to be loaded."""
        end_with_task_manager()

    async def async_invoke(self, value: Row) -> list[Row]:
        """TrackedElement to ScoredElement, without candidates."""
        element = decode_tracked(value[1])
        behaviors = [
            ScoredBehavior(t.behavior, t.user_seq, t.history, t.excluded, t.shown, None, None, None, None)
            for t in element.behaviors
        ]
        return [Row(value[0], encode(ScoredElement(element.epoch, element.duplicates, [], behaviors)))]

"""A model that breaks the contract costs the histories it does so for their scores, and nobody else theirs."""

import asyncio
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyflink.common import Row
from torch import Tensor

from model.actions import DEFAULT_ACTIONS
from model.bundles.answers import BundleAnswerError
from model.bundles.bundle import Bundle
from model.networks.recommender import Recommender, StepRecommender
from model.registry.bundle_source import FromFolder
from tests.unit.model.faulty_models import FAULTS, WHOLE, Faulty
from tests.unit.udfs.default_rules import CACHE, DEVICE, SCORING, WORKER
from tests.unit.udfs.examples import NOW_MS, behavior, hashes
from tests.unit.udfs.small_bundle import IDS, ITEMS, write
from udfs.elements import (
    Candidates,
    FallbackReason,
    ModelRef,
    ScoredBy,
    ScoredElement,
    TrackedBehavior,
    TrackedElement,
    decode_update,
    encode,
)
from udfs.model_serving.model_calls import CallRules
from udfs.model_serving.score_candidates import ScoreCandidates, Serving
from udfs.model_serving.variant_workers import Served, VariantWorker
from udfs.model_serving.variants import Variant
from udfs.scoring.score_cache import ScoreCache
from udfs.scoring.scorer import Scorer
from udfs.users.profile import TIME_TYPECODE

pytestmark = pytest.mark.heavy
SPOILT = "i3"
RULES = replace(SCORING, exclude_seen=False)
PER_HISTORY = sorted(set(FAULTS) - WHOLE)
IN_WHOLE = sorted(WHOLE - {"one answer", "raises"})


class Stepping(StepRecommender):
    """The state is the newest item; where that is `after`, the fault is in the state or in the scores."""

    def __init__(self, after: int, *, in_state: bool) -> None:
        super().__init__(ITEMS, 6)
        self.register_buffer("start", torch.zeros(1))
        self.after = after
        self.in_state = in_state

    def advance(self, state: Tensor, item: Tensor, weight: Tensor) -> Tensor:
        newest = item.float().unsqueeze(1)
        if self.in_state:
            newest = torch.where(newest == self.after, torch.full_like(newest, float("nan")), newest + 0 * state)
        return newest

    def scores_of(self, state: Tensor) -> Tensor:
        falling = torch.arange(13, 0, -1).float().expand(state.size(0), 13) + 0 * state
        return torch.where(state == self.after, torch.full_like(falling, float("nan")), falling)


torch.jit.export(Stepping.scores_of)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    folder = tmp_path_factory.mktemp("faulty")
    each = {fault: Faulty(ITEMS, fault, IDS.index(SPOILT) + 1) for fault in FAULTS if fault != "one answer"}
    return {fault: written(folder / fault.replace(" ", "-"), model) for fault, model in each.items()}


def written(path: Path, model: Recommender) -> Bundle:
    """The bundle promises as many items as the model gives."""
    import json

    bundle = write(path, model)
    manifest = bundle.path / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "k": model.k}))
    return Bundle.load(bundle.path)


def tracked(newest: str, user: str = "u", before: tuple[str, ...] = ()) -> TrackedBehavior:
    history = (*before, newest)
    codes = bytes([DEFAULT_ACTIONS["click"].code] * len(history))
    times = array(TIME_TYPECODE, [NOW_MS // 1000] * len(history))
    out = hashes("i12")
    return TrackedBehavior(behavior(at=NOW_MS, user=user), 1, hashes(*history), codes, times.tobytes(), out, b"", [])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(PER_HISTORY), st.lists(st.sampled_from(IDS[:11]), min_size=1, max_size=6), st.booleans())
def test_only_the_history_it_answers_wrongly_is_refused(
    bundles: dict[str, Bundle], fault: str, newest: list[str], fixed: bool
) -> None:
    scorer = Scorer(bundles[fault], replace(RULES, fixed_batch=8 if fixed else None))
    answers = scorer.answers([tracked(item) for item in newest])
    for item, answer in zip(newest, answers, strict=True):
        if item == SPOILT:
            assert isinstance(answer, BundleAnswerError)
        else:
            assert isinstance(answer, Candidates)
            assert answer.items == list(IDS[:6])


@pytest.mark.parametrize("fault", IN_WHOLE)
def test_an_answer_of_another_shape_or_type_refuses_all(bundles: dict[str, Bundle], fault: str) -> None:
    with pytest.raises(BundleAnswerError, match="instead of int64 and float32"):
        Scorer(bundles[fault], RULES).answers([tracked("i1"), tracked(SPOILT)])


@pytest.fixture
def cache() -> Iterator[ScoreCache]:
    made = ScoreCache(replace(CACHE, megabytes=1))
    yield made
    made.close()


def test_a_wrong_answer_is_not_cached_and_a_right_one_is(bundles: dict[str, Bundle], cache: ScoreCache) -> None:
    scorer = Scorer(bundles["nan"], RULES, cache=cache)
    behaviors = [tracked("i1"), tracked(SPOILT), tracked("i2")]
    for method in (ScoredBy.FULL, ScoredBy.CACHE):
        first, spoilt, last = scorer.answers(behaviors)
        assert isinstance(spoilt, BundleAnswerError)
        assert isinstance(first, Candidates)
        assert isinstance(last, Candidates)
        assert (first.scored_by, last.scored_by) == (method, method)


@pytest.mark.parametrize("in_state", [True, False])
def test_a_step_that_goes_wrong_is_not_gone_on_from(tmp_path: Path, in_state: bool) -> None:
    model = Stepping(IDS.index(SPOILT) + 1, in_state=in_state)
    scorer = Scorer(written(tmp_path / "b", model), RULES)
    methods = []
    for before, newest in (((), "i1"), (("i1",), SPOILT), (("i1", SPOILT), "i2"), (("i1", SPOILT, "i2"), "i4")):
        (answer,) = scorer.answers([tracked(newest, before=before)])
        methods.append("fault" if isinstance(answer, BundleAnswerError) else answer.scored_by.name)
    assert methods[:3] == ["FULL", "fault", "fault" if in_state else "FULL"]
    assert in_state or methods[3] == "STEP"


@pytest.mark.parametrize("fault", [*PER_HISTORY, *IN_WHOLE, "raises"])
def test_a_wrong_answer_is_a_counted_model_error_of_its_behaviour(bundles: dict[str, Bundle], fault: str) -> None:
    failures: list[BaseException] = []
    scorer = Scorer(bundles[fault], RULES)

    async def ask() -> list[tuple[bool, FallbackReason | None]]:
        rules = replace(WORKER, calls=CallRules(deadline_ms=None))
        worker = VariantWorker(Served(ModelRef("1", "h", "a"), scorer), rules, failures.append)
        answered = await worker.submit([tracked("i1"), tracked(SPOILT), tracked("i2")])
        worker.close()
        return [(each.answer is not None, each.failure) for each in answered]

    failed, sound = (False, FallbackReason.MODEL_ERROR), (True, None)
    assert asyncio.run(ask()) == ([sound, failed, sound] if fault in PER_HISTORY else [failed] * 3)
    assert len(failures) == 1


@pytest.mark.parametrize("fault", ["nan", "int32 items", "raises"])
def test_a_bundle_that_answers_wrongly_is_not_warmed_up(tmp_path: Path, fault: str) -> None:
    scorer = Scorer(written(tmp_path / "b", Faulty(ITEMS, fault)), RULES)
    with pytest.raises(BundleAnswerError, match="the bundle tiny 1 is refused"):
        scorer.warm_up(4)


@pytest.mark.parametrize("fault", [*IN_WHOLE, "raises"])
def test_a_worker_that_starts_while_the_model_fails_makes_fallback_lists(tmp_path: Path, fault: str) -> None:
    """The task failed, was restored and failed again; no lists were made until somebody deployed another bundle."""
    bundle = written(tmp_path / "b", Faulty(ITEMS, fault))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("udfs.model_serving.score_candidates.end_with_task_manager", lambda: None)
        operator = score_candidates(bundle)
        operator.open(SimpleNamespace(get_index_of_this_subtask=lambda: 0))
    element = TrackedElement(epoch=1, duplicates=0, behaviors=[tracked("i1")])

    async def ask() -> ScoredElement:
        (row,) = await operator.async_invoke(Row(0, encode(element)))
        scored = decode_update(row[1])
        assert isinstance(scored, ScoredElement)
        return scored

    scored = asyncio.run(ask())
    operator.close()
    assert [each.fallback_reason for each in scored.behaviors] == [FallbackReason.MODEL_ERROR]
    assert [swap.outcome for swap in scored.swaps] == ["started"]


def score_candidates(bundle: Bundle) -> ScoreCandidates:
    serving = Serving(
        variants=(Variant("a", 1.0, FromFolder(bundle.path)),),
        salt="",
        poll_s=1.0,
        threads=1,
        device=DEVICE,
        batches=WORKER.batches,
        calls=WORKER.calls,
        shed_after_ms=None,
        coalesce=False,
        cache=replace(CACHE, megabytes=0),
        enough=None,
    )
    return ScoreCandidates(serving, RULES)

"""Variant workers with real threads: a model is replaced between two batches, and each behaviour names its scorer."""

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.udfs.default_rules import WORKER
from tests.unit.udfs.examples import behavior, proposals
from udfs.elements import Candidates, FallbackReason, ModelRef, ScoredBehavior, TrackedBehavior
from udfs.model_serving.batching import BatchRules
from udfs.model_serving.model_calls import CallRules
from udfs.model_serving.variant_workers import Served, VariantWorker, VariantWorkers, WorkerRules
from udfs.model_serving.variants import Variants

RULES = replace(WORKER, batches=BatchRules(max_size=4, linger_ms=0.1), calls=CallRules(deadline_ms=None))
Results = tuple[list[ModelRef], list[ScoredBehavior]]


class Model:
    """Proposes its own version, then what it was asked about; can be held up, and made to fail."""

    def __init__(self, version: str) -> None:
        self.version = version
        self.asked = threading.Event()
        self.may_go = threading.Event()
        self.may_go.set()
        self.fails = False

    def answers(self, tracked: Sequence[TrackedBehavior]) -> list[Candidates]:
        self.asked.set()
        assert self.may_go.wait(60)
        if self.fails:
            msg = "planted"
            raise RuntimeError(msg)
        return [proposals(self.version, str(each.user_seq)) for each in tracked]

    def disliked_neighbors(self, disliked: bytes) -> bytes:
        return self.version.encode()

    @contextmanager
    def held(self) -> Iterator[None]:
        self.may_go.clear()
        try:
            yield
        finally:
            self.may_go.set()


def served(model: Model, variant: str = "default") -> Served:
    return Served(ModelRef(model.version, "hash", variant), model)


def tracked(seq: int, user: str = "u") -> TrackedBehavior:
    return TrackedBehavior(behavior(user=user), seq, b"", b"", b"", b"", b"", [])


def one_worker(model: Model, rules: WorkerRules = RULES) -> tuple[VariantWorker, VariantWorkers]:
    worker = VariantWorker(served(model), rules, lambda _: None)
    return worker, VariantWorkers({"default": worker}, Variants({"default": 1.0}, ""))


def versions(results: Results) -> list[str]:
    """Who scored each, which has to be whom the row names."""
    models, behaviors = results
    for each in behaviors:
        assert each.candidates is not None
        assert each.model is not None
        assert each.excluded is not None
        assert each.excluded.decode() == models[each.model].version == each.candidates.items[0]
    return [each.candidates.items[0] for each in behaviors if each.candidates]


steps = st.lists(st.integers(0, 3) | st.sampled_from(["offer", "wait"]), min_size=1, max_size=30)


@given(steps)
@settings(max_examples=30)
def test_whatever_is_offered_when_every_behavior_is_answered_once_in_order_by_whom_it_names(
    plan: list[int | str],
) -> None:
    async def run() -> list[Results]:
        worker, workers = one_worker(Model("0"))
        sent: list[asyncio.Task[Results]] = []
        seq = 0
        for number, step in enumerate(plan, start=1):
            if step == "offer":
                await asyncio.to_thread(worker.offer, served(Model(str(number))))
            elif isinstance(step, int):
                behaviors = [tracked(seq := seq + 1) for _ in range(step)]
                sent.append(asyncio.create_task(workers.score(behaviors)))
            else:
                await asyncio.sleep(0)
        results = await asyncio.gather(*sent)
        workers.close()
        return results

    results = asyncio.run(run())
    answered = [each.user_seq for _, behaviors in results for each in behaviors]
    assert answered == list(range(1, len(answered) + 1))
    assert sum(step for step in plan if isinstance(step, int)) == len(answered)
    by = [int(version) for each in results for version in versions(each)]
    assert by == sorted(by), "no model answers once its successor did"
    for _, behaviors in results:
        assert [each.candidates and each.candidates.items[1] for each in behaviors] == [
            str(each.user_seq) for each in behaviors
        ]


def test_what_is_under_way_is_answered_by_the_old_model_and_what_waits_by_the_new() -> None:
    async def run() -> tuple[Results, Results]:
        old = Model("old")
        worker, workers = one_worker(old)
        with old.held():
            first = asyncio.create_task(workers.score([tracked(1)]))
            await asyncio.to_thread(old.asked.wait)
            second = asyncio.create_task(workers.score([tracked(2)]))
            worker.offer(served(Model("new")))
        results = await first, await second
        workers.close()
        return results

    under_way, waiting = asyncio.run(run())
    assert (versions(under_way), versions(waiting)) == (["old"], ["new"])


def test_a_model_that_hangs_keeps_nobody_from_asking_its_successor() -> None:
    async def run() -> tuple[Results, Results]:
        hanging = Model("hanging")
        worker, workers = one_worker(hanging, replace(RULES, calls=CallRules(deadline_ms=20)))
        with hanging.held():
            late = await workers.score([tracked(1)])
            worker.offer(served(Model("new")))
            results = late, await workers.score([tracked(2)])
        workers.close()
        return results

    (_, [late]), answered = asyncio.run(run())
    assert late.fallback_reason == FallbackReason.DEADLINE
    assert versions(answered) == ["new"]


def test_each_user_is_answered_by_his_variant_in_the_elements_order() -> None:
    variants = Variants({"a": 1.0, "b": 1.0}, "salt")
    users = [f"user-{number}" for number in range(9)]

    async def run() -> Results:
        workers = VariantWorkers(
            {name: VariantWorker(served(Model(f"of {name}"), name), RULES, lambda _: None) for name in ("a", "b")},
            variants,
        )
        results = await workers.score([tracked(seq, user) for seq, user in enumerate(users)])
        workers.close()
        return results

    results = asyncio.run(run())
    assert versions(results) == [f"of {variants.of(user)}" for user in users]
    assert [each.user_seq for each in results[1]] == list(range(9))
    assert {model.variant for model in results[0]} == {"a", "b"}


@pytest.mark.parametrize(("enough", "sent"), [(None, True), (3, True), (2, False)])
def test_what_only_fills_a_list_up_is_not_sent_with_enough_candidates(enough: int | None, *, sent: bool) -> None:
    async def run() -> Results:
        worker = VariantWorker(served(Model("1")), RULES, lambda _: None)
        workers = VariantWorkers({"default": worker}, Variants({"default": 1.0}, ""), enough)
        results = await workers.score([msgspec.structs.replace(tracked(1), history=b"12345678", excluded=b"x")])
        workers.close()
        return results

    _, [found] = asyncio.run(run())
    assert found.candidates is not None
    assert len(found.candidates.items) == 2
    assert (found.history, found.excluded) == ((b"12345678", b"x1") if sent else (b"", None))


@pytest.mark.parametrize("fails", [False, True])
def test_a_behavior_names_its_variant_whether_it_was_scored_or_not(*, fails: bool) -> None:
    model = Model("1")
    model.fails = fails

    async def run() -> Results:
        _, workers = one_worker(model)
        results = await workers.score([tracked(1)])
        workers.close()
        return results

    [ref], [scored] = asyncio.run(run())
    assert (scored.model, ref.variant) == (0, "default")
    assert (scored.fallback_reason, scored.batch_size) == ((FallbackReason.MODEL_ERROR, None) if fails else (None, 1))


def test_the_newest_of_a_user_is_scored_alone_and_the_old_are_shed_whoever_is_newest() -> None:
    rules = replace(RULES, shed_after_ms=60_000, coalesce=True)
    long_ago = msgspec.structs.replace(behavior(user="late"), appended_at=1)

    async def run() -> Results:
        _, workers = one_worker(Model("1"), rules)
        results = await workers.score(
            [tracked(1), tracked(2), tracked(5, "v"), TrackedBehavior(long_ago, 1, b"", b"", b"", b"", b"", [])]
        )
        workers.close()
        return results

    reasons = [each.fallback_reason for each in asyncio.run(run())[1]]
    assert reasons == [FallbackReason.COALESCED, None, None, FallbackReason.SHED]

"""Incremental scoring: however a history comes, candidates are those of a full pass."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.bundles.bundle import Bundle
from model.networks.gru import GRU, GRUConfig
from model.networks.linear_recurrence import LinearRecurrenceConfig
from model.networks.recommender import StepRecommender
from model.networks.sasrec_steps import SteppingSASRec, SteppingSASRecConfig
from tests.unit.udfs.default_rules import PROFILE, SCORING
from tests.unit.udfs.examples import NOW_MS, behavior
from tests.unit.udfs.small_bundle import COUNTS, IDS, ITEMS, write
from udfs.elements import Candidates, TrackedBehavior
from udfs.scoring.device import OnCpu
from udfs.scoring.scorer import Scorer
from udfs.users.profile import UserProfile, apply, snapshot

pytestmark = pytest.mark.heavy
BLOCK = 3
LENGTH = 2 * BLOCK - 1
"""A kept history's items at most; the next one lets the oldest block go."""
RULES = SCORING
SIZES = {"items": ITEMS, "history_length": LENGTH, "dim": 4, "state": 6, "k": ITEMS}


class AgeAware(GRU):
    """Its full pass looks at ages, which its steps are not told."""

    def forward(
        self, history: torch.Tensor, weight: torch.Tensor, age_s: torch.Tensor, exclude: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        items, scores = self.score(self.state_after(history, weight), exclude)
        return items, scores + age_s.sum(1, keepdim=True)


class Inexact(GRU):
    """Its full pass differs from its steps by more than the contract allows."""

    def forward(
        self, history: torch.Tensor, weight: torch.Tensor, age_s: torch.Tensor, exclude: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        items, scores = self.score(self.state_after(history, weight), exclude)
        return items, scores + 9e-5


class Weighed(StepRecommender):
    """Its state is the weight that each item has gathered, halved by every later one."""

    def __init__(self) -> None:
        super().__init__(ITEMS, ITEMS)
        self.register_buffer("start", torch.zeros(ITEMS + 1))

    def advance(self, state: torch.Tensor, item: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        return (state / 2).scatter_add(1, item.unsqueeze(1), weight.unsqueeze(1))

    def scores_of(self, state: torch.Tensor) -> torch.Tensor:
        return state


def attending(block: Literal["transformer", "hstu"], length: int = LENGTH, dim: int = 4) -> SteppingSASRec:
    config = SteppingSASRecConfig(items=ITEMS, history_length=length, dim=dim, k=ITEMS, block=block)
    return config.build(COUNTS)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module", params=["gru", "linear-recurrence", "sasrec", "hstu", "weighed"])
def scorers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[Scorer]:
    """One that passes, and two that step and keep three users and one."""
    torch.manual_seed(0)
    models = {
        "gru": lambda: GRUConfig(**SIZES).build(COUNTS),
        "linear-recurrence": lambda: LinearRecurrenceConfig(**SIZES).build(COUNTS),
        "sasrec": lambda: attending("transformer"),
        "hstu": lambda: attending("hstu"),
        "weighed": Weighed,
    }
    bundle = write(tmp_path_factory.mktemp("bundle") / "it", models[request.param](), LENGTH)
    return [Scorer(bundle, replace(RULES, kept_users=kept)) for kept in (0, 3, 1)]


@pytest.fixture(scope="module")
def gru(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    torch.manual_seed(0)
    return write(tmp_path_factory.mktemp("bundle") / "gru", GRUConfig(**SIZES).build(COUNTS), LENGTH)


class Users:
    """What track-users hands on, of behaviours given as (user, action, item)."""

    def __init__(self, block: int = BLOCK) -> None:
        self.rules = replace(PROFILE, history_block=block)
        self.profiles: dict[str, UserProfile] = {}
        self.now_ms = NOW_MS

    def do(self, *acts: tuple[str, str, str]) -> list[TrackedBehavior]:
        return [self._one(behavior(item, action, at=self._later(), user=user)) for user, action, item in acts]

    def clicks(self, *items: str, user: str = "u") -> list[TrackedBehavior]:
        return self.do(*((user, "click", item) for item in items))

    def _one(self, done: Any) -> TrackedBehavior:
        profile = self.profiles.setdefault(done.user_id, UserProfile())
        apply(profile, done, self.rules)
        return snapshot(profile, done, self.rules)

    def _later(self) -> int:
        self.now_ms += 60_000
        return self.now_ms


def methods(answers: Sequence[Candidates]) -> str:
    """F a full pass, S a step."""
    return "".join(answer.scored_by.name[0] for answer in answers)


def full(bundle: Bundle, **changed: Any) -> Scorer:
    return Scorer(bundle, replace(RULES, kept_users=0, **changed))


def assert_same(stepped: Sequence[Candidates], passed: Sequence[Candidates]) -> None:
    assert len(stepped) == len(passed)
    for one, other in zip(stepped, passed, strict=True):
        assert dict(zip(one.items, one.scores(), strict=True)) == pytest.approx(
            dict(zip(other.items, other.scores(), strict=True)), abs=1e-5, rel=0
        )
        assert set(zip(one.items, one.because, strict=True)) == set(zip(other.items, other.because, strict=True))


def batches(tracked: Sequence[TrackedBehavior], sizes: Sequence[int]) -> Iterator[list[TrackedBehavior]]:
    left = iter(tracked)
    for size in sizes:
        yield list(islice(left, size))
    yield list(left)


acts = st.tuples(
    st.sampled_from(["ann", "bob", "cem"]),
    st.sampled_from(["click", "click", "cart", "dislike", "impression", "buy"]),
    st.sampled_from([*IDS, "new"]),
)


@settings(max_examples=15)
@given(
    done=st.lists(acts, min_size=1, max_size=40),
    sizes=st.lists(st.integers(1, 8), max_size=10),
    lost=st.sets(st.integers(0, 39), max_size=3),
    block=st.integers(1, BLOCK + 2),
)
def test_any_stream_in_any_batches_is_scored_as_by_full_passes(
    scorers: list[Scorer], done: list[tuple[str, str, str]], sizes: list[int], lost: set[int], block: int
) -> None:
    """Over block boundaries, evictions, histories longer than the model reads, and behaviours it never saw.

    Scorers keep what the streams before left them.
    """
    tracked = [each for number, each in enumerate(Users(block).do(*done)) if number not in lost]
    passing, *stepping = scorers
    for batch in filter(None, batches(tracked, sizes)):
        passed = passing.score(batch)
        for scorer in stepping:
            assert_same(scorer.score(batch), passed)


def test_a_user_s_next_behavior_is_one_step(gru: Bundle) -> None:
    scorer, users = Scorer(gru, RULES), Users()
    assert methods(scorer.score(users.clicks("i1"))) == "F"
    assert methods(scorer.score(users.clicks("i2"))) == "S"
    assert methods(scorer.score(users.do(("u", "dislike", "i9"), ("u", "click", "new"), ("u", "cart", "i3")))) == "SSS"


def test_the_oldest_block_s_leaving_costs_a_full_pass(gru: Bundle) -> None:
    assert methods(Scorer(gru, RULES).score(Users().clicks(*IDS[:8]))) == "FSSSSFSS"


def test_a_history_longer_than_the_model_reads_is_never_stepped_to(gru: Bundle) -> None:
    assert methods(Scorer(gru, RULES).score(Users(block=20).clicks(*IDS[:8]))) == "FSSSSFFF"


def test_the_user_scored_longest_ago_is_forgotten_first(gru: Bundle) -> None:
    scorer, users = Scorer(gru, replace(RULES, kept_users=2)), Users()
    for name in ("ann", "bob", "ann", "cem"):  # cem takes bob's place
        scorer.score(users.clicks("i1", user=name))
    assert methods(scorer.score(users.do(("ann", "click", "i2"), ("bob", "click", "i2")))) == "SF"


def test_large_states_are_kept_of_as_many_users_as_there_is_room_for(tmp_path: Path) -> None:
    bundle = write(tmp_path / "large", attending("transformer", length=99, dim=64), 99)  # 102 KB per user
    scorer, users = Scorer(bundle, replace(RULES, kept_mb=1)), Users()
    names = [f"u{number}" for number in range(11)]  # ten of them are 1 MiB
    scorer.score(users.do(*((name, "click", "i1") for name in names)))
    assert methods(scorer.score(users.do(*((name, "click", "i2") for name in reversed(names))))) == "S" * 10 + "F"


def test_a_batch_of_more_users_than_are_kept_is_scored(gru: Bundle) -> None:
    scorer, users = Scorer(gru, replace(RULES, kept_users=1)), Users()
    tracked = users.do(("ann", "click", "i1"), ("bob", "click", "i2"), ("ann", "click", "i3"))
    assert_same(scorer.score(tracked), full(gru).score(tracked))


def test_a_new_scorer_begins_with_full_passes(gru: Bundle, tmp_path: Path) -> None:
    torch.manual_seed(1)
    other = write(tmp_path / "other", GRUConfig(**SIZES).build(COUNTS), LENGTH)
    users = Users()
    Scorer(gru, RULES).score(users.clicks("i1"))
    after, swapped = users.clicks("i2"), Scorer(other, RULES)
    answers = swapped.score(after)
    assert methods(answers) == "F"
    assert_same(answers, full(other).score(after))


def test_after_a_fall_back_to_another_history_nothing_of_the_old_is_left(gru: Bundle) -> None:
    scorer = Scorer(gru, RULES)
    scorer.score(Users().clicks("i1", "i2"))
    again = Users().clicks("i1", "i3", "i4")[1:]  # user_seq 2 once more, and 3
    answers = scorer.score(again)
    assert methods(answers) == "FS"
    assert_same(answers, full(gru).score(again))


def test_an_action_of_other_weight_makes_another_state(tmp_path: Path) -> None:
    weighed = write(tmp_path / "weighed", Weighed(), LENGTH)
    scorer, again = Scorer(weighed, RULES), Users().do(("u", "cart", "i1"), ("u", "click", "i2"))
    scorer.score(Users().clicks("i1"))
    assert_same(scorer.score(again[1:]), full(weighed).score(again[1:]))


@pytest.mark.parametrize("model", [AgeAware, Inexact])
def test_a_bundle_whose_steps_say_something_else_is_passed_in_full(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, model: type[GRU]
) -> None:
    torch.manual_seed(0)
    bundle = write(tmp_path / "other", model(GRUConfig(**SIZES), COUNTS), LENGTH)
    with caplog.at_level(logging.WARNING):
        assert methods(Scorer(bundle, RULES).score(Users().clicks("i1", "i2"))) == "FF"
    assert "steps to other scores" in caplog.text


@pytest.mark.parametrize("changed", [{"kept_users": 0}, {"fixed_batch": 4}])
def test_nothing_is_kept_where_the_rules_say_so(gru: Bundle, changed: dict[str, Any]) -> None:
    assert methods(Scorer(gru, replace(RULES, **changed)).score(Users().clicks("i1", "i2"))) == "FF"


def test_a_warmed_up_scorer_scores_the_same(gru: Bundle) -> None:
    scorer, tracked = Scorer(gru, RULES), Users().clicks("i1", "i2")
    scorer.warm_up(4)
    assert_same(scorer.score(tracked), full(gru).score(tracked))


class Faulty(OnCpu):
    """Does as it is told before every call of the model."""

    def __init__(self) -> None:
        super().__init__()
        self.before: Any = None

    def run(self, call: Any, *inputs: Any) -> tuple[Any, ...]:
        if self.before is not None:
            self.before()
        return super().run(call, *inputs)


def test_a_call_that_failed_changes_nothing(gru: Bundle) -> None:
    device, users = Faulty(), Users()
    scorer = Scorer(gru, RULES, device)
    scorer.score(users.clicks("i1"))
    device.before = lambda: 1 / 0
    with pytest.raises(ZeroDivisionError):
        scorer.score(users.clicks("i2", "i3"))
    device.before = None
    after = users.clicks("i4")
    answers = scorer.score(after)
    assert methods(answers) == "F"  # two behaviours were never scored
    assert_same(answers, full(gru).score(after))


def test_while_a_call_hangs_others_step_without_it(gru: Bundle) -> None:
    device, users, entered, go_on = Faulty(), Users(), Event(), Event()
    scorer = Scorer(gru, RULES, device)
    scorer.score(users.clicks("i1"))

    def hang() -> None:
        entered.set()
        go_on.wait(10)

    device.before = hang
    with ThreadPoolExecutor(1) as pool:
        hung = pool.submit(scorer.score, hung_at := users.clicks("i2"))
        assert entered.wait(10)
        device.before = None
        after = users.clicks("i3", "i4")
        answers = scorer.score(after)
        go_on.set()
        assert_same(hung.result(10), full(gru).score(hung_at))
    assert methods(answers) == "FS"
    assert_same(answers, full(gru).score(after))
    assert methods(scorer.score(users.clicks("i5"))) == "S"

"""From histories to candidates, on a real bundle: what the model is not asked for never comes back."""

from array import array
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.actions import DEFAULT_ACTIONS
from model.bundles.bundle import Bundle
from model.networks.recommender import Recommender
from model.networks.sasrec import SASRec, SASRecConfig
from model.recommenders.popularity import Popularity
from tests.unit.udfs.default_rules import SCORING
from tests.unit.udfs.examples import NOW_MS, behavior, hashes
from tests.unit.udfs.small_bundle import COUNTS, IDS, ITEMS, write
from udfs.elements import Candidates, TrackedBehavior
from udfs.hashing import unpack
from udfs.scoring.device import Array, Call, OnCpu
from udfs.scoring.scorer import Scorer
from udfs.scoring.scoring_rules import ScoringRules
from udfs.users.profile import TIME_TYPECODE

pytestmark = pytest.mark.heavy
RULES = SCORING
BEST_FIRST = list(reversed(IDS))
"""What Popularity answers: i12 is the most popular."""


class Weighed(Recommender):
    """Scores an item of the history by its weight and age, all others by 0."""

    def scores(self, history: torch.Tensor, weight: torch.Tensor, age_s: torch.Tensor) -> torch.Tensor:
        seen = torch.zeros((history.size(0), 13), dtype=torch.float32)
        return seen.scatter(1, history, weight + age_s)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def popular(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write(tmp_path_factory.mktemp("bundle") / "popular", Popularity(COUNTS, ITEMS))


@pytest.fixture(scope="module")
def sasrec(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    torch.manual_seed(0)
    model = SASRec(SASRecConfig(items=ITEMS, history_length=5, dim=8, heads=1, layers=1, k=ITEMS), COUNTS)
    torch.nn.init.normal_(model.item.weight[1:].detach())
    return write(tmp_path_factory.mktemp("bundle") / "sasrec", model)


@pytest.fixture(scope="module")
def scorer(popular: Bundle) -> Scorer:
    return Scorer(popular, RULES)


@pytest.fixture(scope="module")
def fixed_batch(sasrec: Bundle) -> Scorer:
    """Asks SASRec about four histories at a time, whatever it is asked about."""
    return Scorer(sasrec, replace(RULES, fixed_batch=4))


def tracked(
    *history: str, actions: str = "click", ages_s: Sequence[int] = (), excluded: bytes = b"", disliked: bytes = b""
) -> TrackedBehavior:
    codes = bytes([DEFAULT_ACTIONS[actions].code] * len(history))
    times = array(TIME_TYPECODE, [NOW_MS // 1000 - age for age in ages_s or [0] * len(history)])
    return TrackedBehavior(behavior(at=NOW_MS), 1, hashes(*history), codes, times.tobytes(), excluded, disliked, [])


def asked(bundle: Bundle, *behaviors: TrackedBehavior, rules: ScoringRules = RULES) -> list[list[str]]:
    return [candidates.items for candidates in Scorer(bundle, rules).score(behaviors)]


def test_candidates_come_best_first_with_their_scores(scorer: Scorer) -> None:
    (candidates,) = scorer.score([tracked()])
    assert (candidates.items, candidates.scores()[0]) == (BEST_FIRST, 12.0)


def test_no_more_candidates_come_than_are_asked_for(popular: Bundle) -> None:
    assert asked(popular, tracked(), rules=replace(RULES, candidates=3)) == [BEST_FIRST[:3]]


def test_items_the_model_does_not_know_are_skipped(sasrec: Bundle) -> None:
    known, mixed = Scorer(sasrec, RULES).score([tracked("i1", "i2"), tracked("new", "i1", "newer", "i2", "newest")])
    assert known.items == mixed.items
    assert known.scores() == pytest.approx(mixed.scores(), abs=1e-5)


def test_a_history_of_unknown_items_is_scored_as_none(popular: Bundle) -> None:
    assert asked(popular, tracked("new"), tracked()) == [BEST_FIRST, BEST_FIRST]


def test_only_the_newest_items_of_a_long_history_are_asked_about(sasrec: Bundle) -> None:
    rules = replace(RULES, exclude_seen=False)
    long, short = asked(sasrec, tracked(*IDS), tracked(*IDS[-5:]), rules=rules)
    assert long == short


@pytest.mark.parametrize(("fixed_batch", "columns"), [(None, [2, 5, 1]), (4, [5, 5, 5])])
def test_a_batch_is_as_long_as_its_longest_history_unless_its_shape_is_fixed(
    sasrec: Bundle, fixed_batch: int | None, columns: list[int]
) -> None:
    lengths: list[int] = []

    class Recording(OnCpu):
        def run(self, call: Call, *inputs: Array) -> tuple[Array, ...]:
            lengths.append(inputs[0].shape[1])
            return super().run(call, *inputs)

    scorer = Scorer(sasrec, replace(RULES, fixed_batch=fixed_batch), Recording())
    for batch in ([tracked("i1"), tracked("i1", "new", "i2")], [tracked(*IDS)], [tracked("new")]):
        scorer.score(batch)
    assert lengths == columns


def test_seen_items_never_come_back(popular: Bundle) -> None:
    assert asked(popular, tracked("i12", "i3")) == [[item for item in BEST_FIRST if item not in {"i12", "i3"}]]


def test_seen_items_may_come_back_where_the_rules_say_so(popular: Bundle) -> None:
    assert asked(popular, tracked("i12"), rules=replace(RULES, exclude_seen=False)) == [BEST_FIRST]


def test_withdrawn_items_never_come_back(popular: Bundle) -> None:
    rules = replace(RULES, withdrawn=frozenset({"i12", "unknown"}))
    assert asked(popular, tracked(), rules=rules) == [BEST_FIRST[1:]]


def test_neighbors_of_a_dislike_never_come_back(popular: Bundle) -> None:
    left = [item for item in BEST_FIRST if item not in {"i4", "i5"}]
    assert asked(popular, tracked(disliked=hashes("i3", "unknown"))) == [left]


def test_as_many_neighbors_of_a_dislike_are_kept_out_as_the_rules_say(popular: Bundle) -> None:
    left = [item for item in BEST_FIRST if item != "i4"]
    assert asked(popular, tracked(disliked=hashes("i3")), rules=replace(RULES, neighbors_of_disliked=1)) == [left]


@pytest.mark.parametrize(("disliked", "near"), [("", ""), ("unknown", ""), ("i3", "i4 i5"), ("i3 i11", "i4 i5 i12 i1")])
def test_the_lists_get_the_neighbors_of_dislikes(scorer: Scorer, disliked: str, near: str) -> None:
    neighbors = scorer.disliked_neighbors(hashes(*disliked.split()))
    assert neighbors == hashes(*near.split())


def test_a_reason_names_the_newest_history_item_that_is_near(scorer: Scorer) -> None:
    (candidates,) = scorer.score([tracked("i2", "i3")])  # i4 is near both
    because = dict(zip(candidates.items, candidates.because, strict=True))
    assert (because["i4"], because["i5"], because["i9"]) == ("i3", "i3", None)


def test_a_reason_is_one_of_the_five_newest_items(scorer: Scorer) -> None:
    (candidates,) = scorer.score([tracked("i2", "i7", "i7", "i7", "i7", "i7")])
    assert set(candidates.because) == {"i7", None}


def test_the_model_hears_weights_and_ages(tmp_path: Path) -> None:
    bundle = write(tmp_path / "weighed", Weighed(ITEMS, ITEMS))
    rules = replace(RULES, exclude_seen=False, candidates=2)
    (candidates,) = Scorer(bundle, rules).score([tracked("i1", "i2", actions="cart", ages_s=[60, 20])])
    assert scores(candidates) == {"i1": 63.0, "i2": 23.0}


def test_a_warmed_up_scorer_scores_the_same(sasrec: Bundle) -> None:
    scorer = Scorer(sasrec, RULES)
    scorer.warm_up(4)
    assert [candidates.items for candidates in scorer.score([tracked("i1")])] == asked(sasrec, tracked("i1"))


known_items = st.lists(st.sampled_from([*IDS, "new"]), max_size=8)
users = st.builds(
    lambda history, out, disliked: tracked(*history, excluded=hashes(*out), disliked=hashes(*disliked)),
    known_items,
    known_items,
    known_items,
)


@settings(max_examples=25)
@given(st.lists(users, min_size=1, max_size=4))
def test_whatever_is_asked_nothing_excluded_comes_back(scorer: Scorer, behaviors: list[TrackedBehavior]) -> None:
    for done, candidates in zip(behaviors, scorer.score(behaviors), strict=True):
        out = set(unpack(done.excluded + scorer.disliked_neighbors(done.disliked) + done.history))
        assert not out & set(unpack(hashes(*candidates.items)))
        assert len(set(candidates.items)) == len(candidates.items)


@settings(max_examples=15)
@given(st.lists(users, min_size=1, max_size=4))
def test_in_a_fixed_batch_scores_do_not_depend_on_who_else_is_in_it(
    fixed_batch: Scorer, behaviors: list[TrackedBehavior]
) -> None:
    for together, done in zip(fixed_batch.score(behaviors), behaviors, strict=True):
        (alone,) = fixed_batch.score([done])
        assert scores(together) == pytest.approx(scores(alone), abs=1e-5)


def scores(candidates: Candidates) -> dict[str, float]:
    return dict(zip(candidates.items, candidates.scores(), strict=True))

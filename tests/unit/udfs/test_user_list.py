"""The two policies: what gets into a list, what never does, and in which order."""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.actions import DEFAULT_ACTIONS
from tests.unit.udfs.default_rules import LISTS
from tests.unit.udfs.examples import NOW_MS, behavior, candidates, hashes, proposals, scored
from udfs.elements import ScoredBehavior
from udfs.hashing import id_hash
from udfs.lists.entries import ReasonCode, reason_text
from udfs.lists.list_codec import decode_list, encode_list
from udfs.lists.list_rules import Fallbacks, ListRules, Policy
from udfs.lists.user_list import SequenceGapError, UserList, update

RULES = replace(LISTS, length=3)
HISTORY = replace(RULES, policy=Policy.HISTORY)
NOTHING = Fallbacks()


def made(
    done: ScoredBehavior,
    *,
    rules: ListRules = RULES,
    fallbacks: Fallbacks = NOTHING,
    before: UserList | None = None,
) -> UserList:
    return update(before or UserList(user_seq=done.user_seq - 1), done, rules, fallbacks)


def standing(items: str, scores: Sequence[float] | None = None, *, seq: int = 0) -> UserList:
    """A list that was made from these items."""
    falling = scores or [1 - rank / 10 for rank in range(len(items))]
    return UserList(seq, seq, list(items), array("f", falling), [ReasonCode.MODEL] * len(items))


def played(*acts: tuple[str, str], rules: ListRules = HISTORY) -> str:
    """The items after these (action, item), under the history policy."""
    user_list = UserList()
    for seq, (action, item) in enumerate(acts, start=1):
        user_list = made(scored(None, seq=seq, did=behavior(item, action)), rules=rules, before=user_list)
    return "".join(user_list.items)


def test_the_best_candidates_make_the_list() -> None:
    assert made(scored(proposals("a", "b", "c", "d"))).items == ["a", "b", "c"]


def test_scores_are_scaled_from_the_worst_to_the_best_candidate() -> None:
    proposed = candidates(("a", 30.0, None), ("b", 20.0, None), ("c", -10.0, None))
    assert made(scored(proposed)).scores == array("f", [1, 0.75, 0])


def test_equal_scores_are_ordered_by_item() -> None:
    assert made(scored(candidates(*((item, 1.0, None) for item in "cab")))).items == ["a", "b", "c"]


def test_each_behavior_makes_the_next_version() -> None:
    second = made(scored(proposals("a"), seq=2), before=standing("a", seq=1))
    assert (second.list_version, second.user_seq) == (2, 2)


@pytest.mark.parametrize("seq", [0, 1, 3])
def test_a_lost_or_doubled_behavior_is_refused(seq: int) -> None:
    with pytest.raises(SequenceGapError, match=f"user 'u': behaviour {seq} came after 1"):
        made(scored(seq=seq), before=standing("a", seq=1))


def test_an_item_of_the_history_is_left_out() -> None:
    assert made(scored(proposals("a", "b"), history=["a"])).items == ["b"]


def test_an_item_of_the_history_may_come_again_where_the_rules_say_so() -> None:
    rules = replace(RULES, exclude_seen=False)
    assert made(scored(proposals("a", "b"), history=["a"]), rules=rules).items == ["a", "b"]


def test_candidates_that_are_enough_make_the_same_list_without_what_is_excluded() -> None:
    whole = scored(proposals("a", "b", "c", "d"), history=("x",), excluded=hashes("y"))
    trending = Fallbacks(trending={"b": 1.0, "z": 0.9}, popular=("y",))
    lean = msgspec.structs.replace(whole, history=b"", excluded=None)
    assert made(lean, fallbacks=trending) == made(whole, fallbacks=trending)
    assert len(made(lean).items) == RULES.length


def test_an_excluded_item_is_left_out() -> None:
    assert made(scored(proposals("a", "b"), excluded=hashes("a"))).items == ["b"]


def test_a_withdrawn_item_is_left_out() -> None:
    assert made(scored(proposals("a", "b")), rules=replace(RULES, withdrawn=frozenset("a"))).items == ["b"]


def test_an_impression_without_an_act_discounts_the_score() -> None:
    done = scored(proposals("a", "b", "c"), shown=[(id_hash("a"), 4)])
    assert made(done).scores == array("f", [0.5, 0.8**4, 0])


def test_a_trending_item_gains() -> None:
    rules = replace(RULES, trend_weight=0.75)
    assert made(scored(proposals("a", "b", "c")), rules=rules, fallbacks=Fallbacks(trending={"c": 1.0})).items == list(
        "cab"
    )


def test_a_group_has_no_more_places_than_it_may() -> None:
    fallbacks = Fallbacks(groups={"a": "g", "b": "g", "c": "g"})
    rules = replace(RULES, max_per_group=1)
    assert made(scored(proposals("a", "b", "c", "d")), rules=rules, fallbacks=fallbacks).items == ["a", "d"]


def test_items_of_no_group_have_no_bound() -> None:
    rules = replace(RULES, max_per_group=1)
    assert made(scored(proposals("a", "b", "c")), rules=rules).items == ["a", "b", "c"]


def test_a_short_list_is_filled_with_trending_then_popular_items() -> None:
    fallbacks = Fallbacks(popular=["p", "a", "q"], trending={"t": 0.5})
    user_list = made(scored(proposals("a")), rules=replace(RULES, length=4), fallbacks=fallbacks)
    assert user_list.items == ["a", "t", "p", "q"]
    assert user_list.reasons == [ReasonCode.MODEL, ReasonCode.TRENDING, ReasonCode.POPULAR, ReasonCode.POPULAR]


def test_filling_obeys_every_exclusion() -> None:
    fallbacks = Fallbacks(popular="abcd", trending={"b": 1.0})
    done = scored(excluded=hashes("a"), history=["b"])
    assert made(done, rules=replace(RULES, withdrawn=frozenset("c")), fallbacks=fallbacks).items == ["d"]


def test_without_scores_the_list_keeps_what_is_still_allowed() -> None:
    done = scored(None, seq=2, history=["b"])
    assert made(done, before=standing("abc", seq=1), fallbacks=Fallbacks(popular="bz")).items == ["a", "c", "z"]


def test_without_scores_a_kept_item_keeps_score_and_reason() -> None:
    before = UserList(1, 1, ["a"], array("f", [0.5]), ["because"])
    kept = made(scored(None, seq=2), before=before)
    assert (kept.scores, kept.reasons) == (array("f", [0.5]), ["because"])


def test_an_empty_answer_of_the_model_is_no_fallback() -> None:
    assert made(scored(seq=2), before=standing("abc", seq=1)).items == []


def test_a_near_neighbor_is_the_reason() -> None:
    assert made(scored(candidates(("a", 1.0, "near")))).reasons == ["near"]


@pytest.mark.parametrize(("reason", "text"), [("i7", "because:i7"), (0, "model"), (1, "trending"), (3, "history")])
def test_reasons_read_well(reason: int | str, text: str) -> None:
    assert reason_text(reason) == text


def test_a_list_takes_in_no_more_new_items_than_it_may() -> None:
    rules = replace(RULES, max_new_items=1)
    user_list = made(scored(proposals("x", "y", "z"), seq=2), rules=rules, before=standing("abc", seq=1))
    assert sorted(user_list.items) == ["a", "b", "x"]


def test_a_limited_list_that_is_short_is_filled_all_the_same() -> None:
    rules = replace(RULES, max_new_items=1)
    user_list = made(scored(proposals("x", "y", "z"), seq=2), rules=rules, before=standing("a", seq=1))
    assert sorted(user_list.items) == ["a", "x", "y"]


def test_a_limited_list_stays_as_it_is_while_its_items_are_the_best() -> None:
    rules = replace(RULES, max_new_items=1)
    user_list = made(scored(proposals("a", "b", "c", "d"), seq=2), rules=rules, before=standing("abc", seq=1))
    assert user_list.items == ["a", "b", "c"]


def test_what_a_full_group_keeps_out_of_a_limited_list_makes_room_for_what_was_there() -> None:
    rules = replace(RULES, max_new_items=1, max_per_group=1)
    fallbacks = Fallbacks(popular="p", groups={"a": "g", "x": "g"})
    before = standing("abc", [0.9, 0.8, 0.7], seq=1)
    user_list = made(scored(proposals("x", "y"), seq=2), rules=rules, fallbacks=fallbacks, before=before)
    assert user_list.items == ["x", "b", "c"]


def test_history_appends_what_was_clicked() -> None:
    assert played(("click", "a"), ("view", "b")) == "ab"


def test_history_moves_a_repeated_item_to_the_end() -> None:
    assert played(("click", "a"), ("click", "b"), ("click", "a")) == "ba"


def test_history_sorts_by_weight_after_a_buy() -> None:
    assert played(("view", "v"), ("cart", "c"), ("buy", "b")) == "bcv"


def test_history_keeps_the_newest_after_a_click() -> None:
    assert played(*(("click", item) for item in "abcd")) == "bcd"


def test_history_keeps_the_heaviest_after_a_buy() -> None:
    assert played(("view", "v"), ("click", "c"), ("cart", "k"), ("buy", "b")) == "bkc"


@pytest.mark.parametrize("action", ["return", "dislike"])
def test_history_drops_what_was_taken_back_or_disliked(action: str) -> None:
    assert played(("buy", "a"), ("click", "b"), (action, "a")) == "b"


def test_history_heeds_no_impression() -> None:
    assert played(("click", "a"), ("impression", "b"), ("impression", "a")) == "a"


items = st.sampled_from("abcdefghijkl")
finite = st.floats(-100, 100, width=32)
shares = st.fixed_dictionaries({}, optional=dict.fromkeys("abcdef", st.floats(0, 1)))
worlds = st.builds(
    lambda popular, trending, groups, near: Fallbacks(popular, trending, None, groups, lambda item: near.get(item, {})),
    st.lists(items, unique=True),
    shares,
    st.dictionaries(items, st.sampled_from(["", "g", "h"])),
    st.dictionaries(items, st.dictionaries(items, st.floats(0, 1), max_size=3)),
)
list_rules: st.SearchStrategy[ListRules] = st.builds(
    replace,
    st.just(RULES),
    length=st.integers(1, 5),
    max_per_group=st.none() | st.integers(1, 2),
    max_new_items=st.none() | st.integers(1, 2),
    exclude_seen=st.booleans(),
    withdrawn=st.frozensets(items, max_size=2),
    hysteresis=st.sampled_from([0.0, 0.2]),
    diversity=st.sampled_from([0.0, 0.3, 1.0]),
    update_interval_ms=st.none() | st.just(1_000),
    explore_share=st.sampled_from([0.0, 0.5, 1.0]),
    explore_pool=st.integers(1, 4),
)


@st.composite
def runs(draw: st.DrawFn) -> list[ScoredBehavior]:
    """One user's behaviours in order, scored or not."""
    rows = st.lists(st.tuples(items, finite, st.none() | items), max_size=8, unique_by=lambda row: row[0])
    proposed = st.none() | st.builds(lambda rows: candidates(*rows), rows)
    out = st.sets(items, max_size=3)
    done = st.tuples(proposed, st.lists(items, max_size=3), out, items, st.integers(0, 3), st.integers(0, 3_000))
    return [
        scored(
            proposed,
            seq=seq,
            did=behavior("acted", at=NOW_MS + at),
            history=history,
            excluded=hashes(*sorted(out)),
            shown=[(id_hash(item), times)],
        )
        for seq, (proposed, history, out, item, times, at) in enumerate(draw(st.lists(done, max_size=6)), start=1)
    ]


def lists(run: Iterable[ScoredBehavior], rules: ListRules, world: Fallbacks, *, stored: bool) -> list[UserList]:
    made_so_far = [UserList()]
    for done in run:
        before = decode_list(encode_list(made_so_far[-1])) if stored else made_so_far[-1]
        made_so_far.append(update(before, done, rules, world))
    return made_so_far[1:]


@settings(max_examples=25)
@given(runs(), list_rules, worlds)
def test_whatever_is_proposed_nothing_excluded_is_ever_listed(
    run: list[ScoredBehavior], rules: ListRules, world: Fallbacks
) -> None:
    for done, user_list in zip(run, lists(run, rules, world, stored=False), strict=True):
        assert not rules.withdrawn & set(user_list.items)
        assert not any(hashes(item) in (done.excluded or b"") for item in user_list.items)
        assert not (rules.exclude_seen and any(hashes(item) in done.history for item in user_list.items))


@settings(max_examples=25)
@given(runs(), list_rules, worlds)
def test_whatever_is_proposed_a_list_is_in_shape(run: list[ScoredBehavior], rules: ListRules, world: Fallbacks) -> None:
    for user_list in lists(run, rules, world, stored=False):
        assert len(user_list.items) == len(user_list.scores) == len(user_list.reasons) <= rules.length
        assert not user_list.propensities or len(user_list.propensities) == len(user_list.items)
        assert len(set(user_list.items)) == len(user_list.items)
        assert list(user_list.scores) == sorted(user_list.scores, reverse=True)
        assert rules.max_per_group is None or largest_group(user_list.items, world.groups) <= rules.max_per_group


@given(st.none() | st.lists(items, unique=True, max_size=8), worlds, st.integers(1, 3))
def test_a_full_limited_list_never_takes_in_more_newcomers_than_it_may(
    proposed: list[str] | None, world: Fallbacks, most: int
) -> None:
    rules = replace(RULES, max_new_items=most, max_per_group=2)
    before = made(scored(None), rules=rules, fallbacks=Fallbacks("abcde", groups=world.groups))
    done = scored(None if proposed is None else proposals(*proposed), seq=2)
    user_list = made(done, rules=rules, fallbacks=world, before=before)
    room = rules.length - len(before.items)
    assert len(set(user_list.items) - set(before.items)) <= max(most, room)


@settings(max_examples=25)
@given(runs(), list_rules, worlds)
def test_the_same_behaviors_make_the_same_lists_however_they_are_grouped(
    run: list[ScoredBehavior], rules: ListRules, world: Fallbacks
) -> None:
    """Between two elements a list goes through its stored form."""
    assert lists(run, rules, world, stored=True) == lists(run, rules, world, stored=False)


def largest_group(listed: Iterable[str], groups: Mapping[str, str]) -> int:
    named = [group for item in listed if (group := groups.get(item))]
    return max(map(named.count, named), default=0)


def test_repeated_fallbacks_discount_an_impression_no_further() -> None:
    first = made(scored(None, seq=1, shown=[(id_hash("a"), 1.0)]), before=standing("ab"))
    second = made(scored(None, seq=2, shown=[(id_hash("a"), 1.0)]), before=first)
    assert (second.items, second.scores) == (first.items, first.scores)


def test_a_withdrawn_item_is_in_no_history_list_either() -> None:
    rules = replace(HISTORY, withdrawn=frozenset("b"))
    assert played(("click", "a"), ("click", "b"), ("click", "c"), rules=rules) == "ac"


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("action", sorted(DEFAULT_ACTIONS))
@pytest.mark.parametrize("has_scores", [True, False])
def test_a_lowered_length_holds_from_the_next_behaviour_on(policy: Policy, action: str, has_scores: bool) -> None:
    rules = replace(LISTS, policy=policy, length=3)
    done = scored(proposals(*"abcdefgh") if has_scores else None, seq=1, did=behavior("z", action))
    assert len(made(done, rules=rules, before=standing("abcdefgh")).items) == 3

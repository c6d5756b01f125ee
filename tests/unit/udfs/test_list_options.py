"""Calm, diversity and exploration: the policies against a slow reference, and what chance does against what it says."""

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from model.actions import DEFAULT_ACTIONS
from tests.unit.udfs.default_rules import LISTS, PROFILE
from tests.unit.udfs.examples import NOW_MS, behavior, candidates, hashes, proposals, scored
from tests.unit.udfs.test_user_list import items, list_rules, runs, worlds
from udfs.elements import LoggedBehavior, ScoredBehavior
from udfs.hashing import id_hash
from udfs.lists.diversity import diversified
from udfs.lists.entries import Entry, ReasonCode
from udfs.lists.explore import explored
from udfs.lists.list_rules import Fallbacks, ListRules
from udfs.lists.user_list import UserList, is_held, swept, update
from udfs.users.profile import UserProfile, apply, snapshot

RULES = replace(LISTS, length=3)
MINUTE = 60_000


def test_a_newcomer_needs_a_lead_over_what_was_there() -> None:
    before = UserList(1, 1, ["b"], array("f", [1.0]), [ReasonCode.MODEL])
    close = scored(candidates(("a", 1.0, None), ("b", 0.9, None), ("c", 0.0, None)), seq=2)
    assert update(before, close, replace(RULES, length=1), Fallbacks()).items == ["a"]
    assert update(before, close, replace(RULES, length=1, hysteresis=0.2), Fallbacks()).items == ["b"]
    far = scored(candidates(("a", 1.0, None), ("b", 0.7, None), ("c", 0.0, None)), seq=2)
    assert update(before, far, replace(RULES, length=1, hysteresis=0.2), Fallbacks()).items == ["a"]


def test_what_was_explored_gets_no_lead() -> None:
    before = UserList(1, 1, ["b"], array("f", [1.0]), [ReasonCode.EXPLORE], array("d", [0.01]))
    close = scored(candidates(("a", 1.0, None), ("b", 0.9, None), ("c", 0.0, None)), seq=2)
    assert update(before, close, replace(RULES, length=1, hysteresis=0.2), Fallbacks()).items == ["a"]


def test_of_two_alike_items_the_second_gives_way() -> None:
    world = Fallbacks(near=lambda item: {"b": 1.0} if item == "a" else {})
    done = scored(proposals("a", "b", "c", "d", "e"))
    rules = replace(RULES, length=2)
    assert update(UserList(), done, rules, world).items == ["a", "b"]
    assert update(UserList(), done, replace(rules, diversity=0.4), world).items == ["a", "c"]


def test_a_young_list_stays_and_loses_only_what_may_not_be_shown() -> None:
    rules, world = replace(RULES, update_interval_ms=MINUTE), Fallbacks(popular="z")
    first = update(UserList(), scored(proposals("a", "b", "c"), did=behavior("x")), rules, world)
    soon = scored(proposals("d", "e", "f"), seq=2, did=behavior("a", "buy", at=NOW_MS + MINUTE - 1), history=["a"])
    held = update(first, soon, rules, world)
    assert is_held(first, soon, rules)
    assert held.items == ["b", "c", "z"]
    assert held.renewed_ms == first.renewed_ms == NOW_MS
    later = scored(proposals("d", "e", "f"), seq=3, did=behavior("x", at=NOW_MS + MINUTE))
    assert update(held, later, rules, world).items == ["d", "e", "f"]


def test_a_behavior_dated_far_ahead_does_not_hold_the_list_until_then() -> None:
    rules, world = replace(RULES, update_interval_ms=MINUTE), Fallbacks()
    ahead = scored(proposals("a", "b", "c"), did=behavior("x", at=NOW_MS + 1_000 * MINUTE))
    now = scored(proposals("d", "e", "f"), seq=2, did=behavior("x"))
    assert update(update(UserList(), ahead, rules, world), now, rules, world).items == ["d", "e", "f"]


def test_an_explored_item_and_its_probability_stay_while_a_list_is_held() -> None:
    rules = replace(RULES, update_interval_ms=MINUTE, explore_share=1.0, explore_pool=4)
    first = update(UserList(), scored(proposals(*"abcdefgh")), rules, Fallbacks())
    held = update(first, scored(proposals(*"mnopqrst"), seq=2, excluded=hashes(first.items[0])), rules, Fallbacks())
    assert held.items == first.items[1:]
    assert held.propensities == first.propensities[1:] == array("d", [0.25, 0.25])
    assert set(held.reasons) == {ReasonCode.EXPLORE}


def test_a_sweep_takes_a_withdrawn_item_that_was_explored() -> None:
    rules = replace(RULES, explore_share=1.0, explore_pool=4)
    first = update(UserList(), scored(proposals(*"abcdefgh")), rules, Fallbacks())
    gone = first.items[1]
    made = swept(first, b"", replace(rules, withdrawn=frozenset({gone})), Fallbacks(popular="z"))
    assert gone not in made.items
    assert made.propensities[-1] == 1.0  # chance has no part in what fills it up


@pytest.mark.parametrize(("pool", "share"), [("wxyz", 0.3), ("wxyz", 1.0), ("yz", 0.5), ("", 0.5)])
def test_chance_does_what_it_says(pool: str, share: float) -> None:
    """Over many seeds each (place, item) comes about as often as its propensity says: 5 standard deviations."""
    best: list[Entry] = [(-1.0, "a", 0), (-0.5, "b", 0), (-0.2, "c", 0)]
    rounds, found, said = 4_000, Counter[tuple[int, str]](), dict[tuple[int, str], float]()
    for number in range(rounds):
        drawn = explored(best, pool, share, f"u/{number}")
        for place, (entry, propensity) in enumerate(zip(drawn.entries, drawn.propensities, strict=True)):
            found[place, entry[1]] += 1
            assert said.setdefault((place, entry[1]), propensity) == propensity
        assert [entry[0] for entry in drawn.entries] == [-1.0, -0.5, -0.2]
        assert len({entry[1] for entry in drawn.entries}) == 3
    for key, propensity in said.items():
        assert abs(found[key] / rounds - propensity) <= 5 * (propensity * (1 - propensity) / rounds) ** 0.5
    assert sum(said.values()) == pytest.approx(3)


def test_exploring_is_the_same_in_every_process() -> None:
    best: list[Entry] = [(-1.0, item, 0) for item in "abcdef"]
    assert "".join(item for _, item, _ in explored(best, "uvwxyz", 0.5, "user/7").entries) == SEEDED


SEEDED = "wbzdef"


likes = st.dictionaries(items, st.dictionaries(items, st.floats(0, 1), max_size=4))


@given(
    st.lists(st.tuples(items, st.floats(0, 1)), unique_by=lambda row: row[0], max_size=8),
    likes,
    st.sampled_from([0.0, 0.3, 0.7, 1.0]),
)
def test_diversity_equals_a_slow_reference(
    rows: list[tuple[str, float]], near: dict[str, dict[str, float]], weight: float
) -> None:
    made = list(diversified([(-score, item, 0) for item, score in rows], weight, lambda item: near.get(item, {})))
    scores, chosen = dict(rows), list[str]()
    for cost, item, _ in made:
        values = {each: slow_value(each, chosen, scores, near, weight) for each in scores if each not in chosen}
        assert -cost == max(values.values())
        assert item == min(each for each in values if values[each] == max(values.values()))
        chosen.append(item)
    assert sorted(chosen) == sorted(scores)
    assert all(one[0] <= other[0] for one, other in pairwise(made))


def slow_value(
    item: str, chosen: list[str], scores: dict[str, float], near: dict[str, dict[str, float]], weight: float
) -> float:
    alike = [max(near.get(item, {}).get(other, 0.0), near.get(other, {}).get(item, 0.0)) for other in chosen]
    return -((1.0 - weight) * -scores[item] - weight * (1.0 - max(alike, default=0.0)))


@settings(max_examples=60)
@given(runs(), list_rules, worlds)
def test_lists_equal_a_slow_reference(run: list[ScoredBehavior], rules: ListRules, world: Fallbacks) -> None:
    rules = replace(rules, max_new_items=None, explore_share=0.0)
    made = UserList()
    for done in run:
        expected = slow_items(made, done, rules, world)
        made = update(made, done, rules, world)
        assert made.items == expected


def slow_items(before: UserList, done: ScoredBehavior, rules: ListRules, world: Fallbacks) -> list[str]:
    """The items of the next list, by the plainest code."""
    out = {*done_hashes(done.excluded or b""), *(done_hashes(done.history) if rules.exclude_seen else ())}
    young = (
        rules.update_interval_ms is not None
        and before.items
        and abs(done.behavior.timestamp - before.renewed_ms) < rules.update_interval_ms
    )
    ranked = list(before.items) if done.candidates is None or young else slow_ranked(before, done, out, rules, world)
    chosen: list[str] = []
    for item in [*ranked, *world.trending, *world.popular]:
        group = world.groups.get(item)
        full = (
            group and rules.max_per_group and sum(world.groups.get(x) == group for x in chosen) >= rules.max_per_group
        )
        if len(chosen) < rules.length and item not in chosen and not full:
            chosen += [] if id_hash(item) in out or item in rules.withdrawn else [item]
    return chosen


def slow_ranked(before: UserList, done: ScoredBehavior, out: set[int], rules: ListRules, world: Fallbacks) -> list[str]:
    assert done.candidates is not None
    raw = dict(zip(done.candidates.items, done.candidates.scores(), strict=True))
    low = min(raw.values(), default=0.0)
    spread = max(raw.values(), default=0.0) - low or 1.0
    scores = {}
    for item, score in raw.items():
        value = (score - low) / spread
        if world.trending:
            value += rules.trend_weight * (world.trending.get(item, 0.0) - value)
        value *= rules.impression_discount ** dict(done.shown).get(id_hash(item), 0)
        if rules.hysteresis and before.items:
            value = (value + rules.hysteresis * (item in before.items)) / (1 + rules.hysteresis)
        scores[item] = value
    scores = {item: v for item, v in scores.items() if id_hash(item) not in out and item not in rules.withdrawn}
    near, chosen = {item: dict(world.near(item)) for item in scores}, list[str]()
    while rules.diversity and len(chosen) < len(scores):
        left = {each: slow_value(each, chosen, scores, near, rules.diversity) for each in scores if each not in chosen}
        chosen.append(min(left, key=lambda item: (-left[item], item)))
    return chosen or sorted(scores, key=lambda item: (-scores[item], item))


def done_hashes(packed: bytes) -> set[int]:
    return set(array("q", packed))


acts = st.lists(
    st.tuples(st.sampled_from(sorted(DEFAULT_ACTIONS)), items, st.integers(0, 5_000), st.booleans()), max_size=25
)


@settings(max_examples=100)
@given(acts, list_rules, worlds)
@example([("buy", "a", 0, True), ("click", "b", 1, True)], replace(RULES, explore_share=1.0), Fallbacks(popular="ab"))
def test_from_then_on_nothing_bought_disliked_or_withdrawn_is_in_any_list(
    done: list[tuple[str, str, int, bool]], rules: ListRules, world: Fallbacks
) -> None:
    """Through the profile and the list, whatever the order of events; the model proposes everything, or nothing."""
    profile, user_list = UserProfile(), UserList()
    profile_rules = replace(PROFILE, exclude_seen=rules.exclude_seen)
    owned, disliked = set[str](), set[str]()
    for action, item, at, has_scores in done:
        did = behavior(item, action, at=NOW_MS + at)
        apply(profile, did, profile_rules)
        note(did, owned, disliked)
        tracked = snapshot(profile, did, profile_rules)
        whole = scored(proposals(*"lkjihgfedcba") if has_scores else None, seq=tracked.user_seq, did=did)
        user_list = update(user_list, with_profile(whole, tracked.history, tracked.excluded), rules, world)
        assert not {*owned, *disliked, *rules.withdrawn}.intersection(user_list.items)
        assert len(set(user_list.items)) == len(user_list.items)


def with_profile(done: ScoredBehavior, history: bytes, excluded: bytes) -> ScoredBehavior:
    fields: Iterable[str] = done.__struct_fields__
    return ScoredBehavior(**{name: getattr(done, name) for name in fields} | {"history": history, "excluded": excluded})


def note(did: LoggedBehavior, owned: set[str], disliked: set[str]) -> None:
    """What a user owns and dislikes, by the plainest rules."""
    match did.action:
        case "buy":
            owned.add(did.item_id)
            disliked.discard(did.item_id)
        case "return":
            owned.discard(did.item_id)
        case "dislike":
            disliked.add(did.item_id)
        case "click" | "view" | "favorite" | "cart":
            disliked.discard(did.item_id)

"""What one behaviour does to a profile, within which bounds, and that a profile is a function of its behaviours."""

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.udfs.default_rules import PROFILE
from tests.unit.udfs.examples import NOW_MS, behavior, hashes
from udfs.elements import LoggedBehavior, TrackedBehavior
from udfs.hashing import id_hash, pack
from udfs.users.profile import Applied, ProfileRules, Shown, UserProfile, apply, snapshot
from udfs.users.profile_codec import decode_profile, encode_profile

SMALL = replace(
    PROFILE, history_block=2, seen_limit=3, bought_limit=2, disliked_limit=2, event_ids_limit=2, shown_limit=2
)


def after(*behaviors: LoggedBehavior, rules: ProfileRules = PROFILE) -> UserProfile:
    profile = UserProfile()
    for done in behaviors:
        apply(profile, done, rules)
    return profile


def clicks(count: int) -> Iterable[LoggedBehavior]:
    return (behavior(f"i{number}") for number in range(count))


def last_snapshot(*behaviors: LoggedBehavior, rules: ProfileRules = PROFILE) -> TrackedBehavior:
    return snapshot(after(*behaviors, rules=rules), behaviors[-1], rules)


@pytest.mark.parametrize("action", ["view", "click", "favorite", "cart", "buy"])
def test_a_positive_act_enters_the_history(action: str) -> None:
    profile = after(behavior("i", action, at=5_999))
    assert (pack(profile.items), list(profile.actions)) == (hashes("i"), [PROFILE.actions[action].code])
    assert list(profile.times) == [5]


@pytest.mark.parametrize("action", ["return", "dislike", "impression"])
def test_other_acts_leave_the_history_alone(action: str) -> None:
    assert not after(behavior("i", action)).items


def test_every_applied_behavior_is_counted() -> None:
    assert after(*(behavior("i", action) for action in PROFILE.actions)).user_seq == len(PROFILE.actions)


def test_a_buy_is_owned() -> None:
    assert pack(after(behavior("i", "buy")).bought) == hashes("i")


def test_a_return_is_owned_no_longer() -> None:
    assert not after(behavior("i", "buy"), behavior("i", "return")).bought


def test_a_return_of_what_was_never_bought_changes_nothing() -> None:
    assert pack(after(behavior("i", "buy"), behavior("j", "return")).bought) == hashes("i")


def test_a_dislike_is_remembered() -> None:
    assert pack(after(behavior("i", "dislike")).disliked) == hashes("i")


def test_a_positive_act_takes_a_dislike_back() -> None:
    assert not after(behavior("i", "dislike"), behavior("i", "click")).disliked


def test_impressions_are_counted() -> None:
    profile = after(behavior("i", "impression"), behavior("i", "impression"))
    assert profile.shown == {id_hash("i"): Shown(2, NOW_MS)}


def test_an_impression_fades_by_half_in_its_half_life() -> None:
    profile = after(behavior("i", "impression"), behavior("i", "impression", at=NOW_MS + 86_400_000))
    assert profile.shown[id_hash("i")].impressions == pytest.approx(1.5)


@pytest.mark.parametrize("action", ["click", "buy", "dislike"])
def test_an_act_ends_the_count_of_impressions(action: str) -> None:
    assert after(behavior("i", "impression"), behavior("i", action)).shown == {}


def test_an_unknown_action_raises() -> None:
    with pytest.raises(KeyError, match="gaze"):
        after(behavior("i", "gaze"))


def test_a_repeated_event_is_applied_once() -> None:
    profile = UserProfile()
    outcomes = [apply(profile, behavior("i", event=event), PROFILE) for event in ("e", "f", "e")]
    assert outcomes == [Applied.YES, Applied.YES, Applied.DUPLICATE]
    assert (profile.user_seq, pack(profile.items)) == (2, hashes("i", "i"))


def test_behaviors_without_event_id_are_all_applied() -> None:
    assert after(behavior("i"), behavior("i")).user_seq == 2


def test_the_history_grows_to_99() -> None:
    profile = after(*clicks(99))
    assert (len(profile.items), len(profile.actions), len(profile.times), len(profile.seen)) == (99, 99, 99, 0)


def test_at_100_the_oldest_50_leave_the_history_and_are_seen() -> None:
    profile = after(*clicks(100))
    assert pack(profile.items) == hashes(*(f"i{number}" for number in range(50, 100)))
    assert (len(profile.actions), len(profile.times)) == (50, 50)
    assert pack(profile.seen) == hashes(*(f"i{number}" for number in range(50)))


def test_seen_items_are_forgotten_oldest_first() -> None:
    profile = after(*clicks(8), rules=SMALL)
    assert (pack(profile.seen), profile.forgotten) == (hashes("i3", "i4", "i5"), 3)


def test_bought_items_are_forgotten_oldest_first() -> None:
    profile = after(*(behavior(item, "buy") for item in "abac"), rules=SMALL)
    assert (pack(profile.bought), profile.forgotten) == (hashes("a", "c"), 1)


def test_disliked_items_are_forgotten_oldest_first() -> None:
    profile = after(*(behavior(item, "dislike") for item in "abac"), rules=SMALL)
    assert (pack(profile.disliked), profile.forgotten) == (hashes("a", "c"), 1)


def test_impressions_are_forgotten_oldest_first() -> None:
    profile = after(*(behavior(item, "impression") for item in "abac"), rules=SMALL)
    assert (list(profile.shown), profile.forgotten) == ([id_hash("a"), id_hash("c")], 1)


def test_event_ids_are_forgotten_oldest_first() -> None:
    profile = after(*(behavior(event=event) for event in "abca"), rules=SMALL)
    assert (profile.user_seq, pack(profile.event_ids)) == (4, hashes("c", "a"))


def test_a_snapshot_excludes_what_is_bought_disliked_or_seen() -> None:
    did = [*clicks(4), behavior("b", "buy"), behavior("d", "dislike")]
    assert last_snapshot(*did, rules=SMALL).excluded == hashes("b", "d", "i0", "i1")


def test_seen_items_may_come_again_where_the_rules_say_so() -> None:
    did = [*clicks(4), behavior("b", "buy")]
    assert last_snapshot(*did, rules=replace(SMALL, exclude_seen=False)).excluded == hashes("b")


@pytest.mark.parametrize(("neighborhoods", "newest"), [(0, ""), (1, "c"), (2, "bc"), (10, "abc")])
def test_a_snapshot_names_the_newest_dislikes(neighborhoods: int, newest: str) -> None:
    rules = replace(PROFILE, disliked_neighborhoods=neighborhoods)
    tracked = last_snapshot(*(behavior(item, "dislike") for item in "abc"), rules=rules)
    assert tracked.disliked == hashes(*newest)


def test_a_later_behavior_leaves_an_earlier_snapshot_as_it_was() -> None:
    profile = after(behavior("a"), behavior("s", "impression"))
    before = snapshot(profile, behavior("a"), PROFILE)
    first = repr(before)
    for later in (behavior("b"), behavior("s", "impression"), behavior("c", "buy")):
        apply(profile, later, PROFILE)
    assert repr(before) == first


events = st.none() | st.sampled_from("ef")
acts = st.builds(
    lambda item, action, event, at: behavior(item, action, event=event, at=at),
    st.sampled_from("abcdefgh"),
    st.sampled_from(sorted(PROFILE.actions)),
    events,
    st.integers(0, 2**62),
)
runs = st.lists(acts, max_size=40)


@given(runs)
def test_no_bound_is_ever_crossed_and_no_item_remembered_twice(did: list[LoggedBehavior]) -> None:
    profile = after(*did, rules=SMALL)
    assert len(profile.items) == len(profile.actions) == len(profile.times) < 2 * SMALL.history_block
    kept = ((profile.seen, 3), (profile.bought, 2), (profile.disliked, 2), (profile.event_ids, 2))
    assert all(len(set(remembered)) == len(remembered) <= limit for remembered, limit in kept)
    assert len(profile.shown) <= SMALL.shown_limit


@given(runs)
def test_stored_profiles_come_back(did: list[LoggedBehavior]) -> None:
    profile = after(*did, rules=SMALL)
    assert decode_profile(encode_profile(profile)) == profile


@given(runs, st.sets(st.integers(0, 40)))
def test_snapshots_do_not_depend_on_how_behaviors_are_grouped(did: list[LoggedBehavior], stored: set[int]) -> None:
    """Between two elements a profile goes through its stored form."""
    assert list(tracked_run(did, stored)) == list(tracked_run(did, set()))


def tracked_run(did: list[LoggedBehavior], stored: set[int]) -> Iterable[TrackedBehavior]:
    profile = UserProfile()
    for number, done in enumerate(did):
        if number in stored:
            profile = decode_profile(encode_profile(profile))
        if apply(profile, done, SMALL) is Applied.YES:
            yield snapshot(profile, done, SMALL)


@given(
    st.lists(
        st.tuples(st.sampled_from(sorted(PROFILE.actions)), st.integers(0, 40), st.booleans()),
        min_size=1,
        max_size=80,
    ),
    st.sampled_from(sorted(PROFILE.actions)),
)
def test_lowered_bounds_hold_from_the_next_behaviour_on_whatever_it_is(
    acts: list[tuple[str, int, bool]], last: str
) -> None:
    events = enumerate(acts)
    profile = after(*(behavior(f"i{i}", a, event=f"e{n}" if has else None) for n, (a, i, has) in events))
    kept_before = profile.forgotten, len(profile.shown)
    apply(profile, behavior("i41", last), SMALL)
    assert len(profile.items) == len(profile.actions) == len(profile.times) < 2 * SMALL.history_block
    assert len(profile.seen) <= SMALL.seen_limit
    assert len(profile.bought) <= SMALL.bought_limit
    assert len(profile.disliked) <= SMALL.disliked_limit
    assert len(profile.event_ids) <= SMALL.event_ids_limit
    assert len(profile.shown) <= SMALL.shown_limit
    assert profile.forgotten >= kept_before[0] + max(0, kept_before[1] - 1 - SMALL.shown_limit)


def test_a_lowered_bound_keeps_the_newest_and_counts_the_others() -> None:
    profile = after(*(behavior(f"i{number}", "buy") for number in range(6)))
    apply(profile, behavior("i9", "impression"), replace(PROFILE, bought_limit=2))
    assert (pack(profile.bought), profile.forgotten) == (hashes("i4", "i5"), 4)


def test_a_repeated_event_applies_a_lowered_bound_too() -> None:
    profile = after(*(behavior(f"i{number}", event=f"e{number}") for number in range(6)))
    again = apply(profile, behavior("i5", event="e5"), replace(PROFILE, event_ids_limit=2, history_block=2))
    assert (again, len(profile.event_ids), pack(profile.items)) == (Applied.DUPLICATE, 2, hashes("i4", "i5"))

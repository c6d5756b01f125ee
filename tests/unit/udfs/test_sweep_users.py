"""Every user is sent once, few at a time, as the profile stands then; whatever happens between two turns."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.udfs.default_rules import PROFILE
from tests.unit.udfs.examples import hashes
from tests.unit.udfs.sweeping import BEGUN, KEY, Bucket, HashMap, RocksDB, Value, turns_of
from udfs.hashing import unpack
from udfs.users import sweep_users
from udfs.users.profile import UserProfile, list_owner
from udfs.users.sweep_users import SweepUsers

names = st.text("uvw", min_size=1, max_size=4)


@settings(deadline=None)
@given(st.sets(names, min_size=1), st.data(), st.sampled_from([HashMap, RocksDB]))
def test_new_users_and_behaviours_between_two_turns_keep_nobody_out_and_are_known(
    users: set[str], data: st.DataObject, backend: type[HashMap]
) -> None:
    bucket = Bucket(backend())
    for user in users:
        bucket.put(user, "ab")
    sweep = bucket.begun("a")
    assert sweep is not None
    sent, buyers, turns = set(), set(), 0
    with turns_of(1):
        while (found := sweep.turn(KEY)) is not None:
            for owner in found.owners:
                assert (owner.excluded == hashes("bought")) == (owner.user_id in buyers)
                sent.add(owner.user_id)
            turns += 1
            if turns < 2 * len(users):
                buyer = data.draw(st.sampled_from([*sorted(users), f"u{turns}"]))
                bucket.put(buyer, "b", owned=["bought"])
                buyers.add(buyer)
    assert users <= sent <= users | buyers


def test_a_turn_is_bounded_and_a_restart_in_between_begins_again() -> None:
    bucket, users = Bucket(), 3 * sweep_users.USERS_A_TURN
    for number in range(users):
        bucket.put(f"u{number}", "ab")
    first = bucket.swept("a", turns=2)
    assert len(first) == 2 * sweep_users.USERS_A_TURN
    assert bucket.state.updates == []
    assert len(first) + len(bucket.swept("a")) == users
    assert len(bucket.state.updates) == 1


def test_what_is_withdrawn_no_more_needs_no_sweep_and_once_more_does() -> None:
    bucket = Bucket()
    bucket.put("u", "abc")
    assert len(bucket.swept("a", "b")) == 1
    bucket.put("u", "cd")
    assert bucket.swept("a") == []
    bucket.put("u", "bc")
    assert len(bucket.swept("a", "b")) == 1


def test_nothing_withdrawn_reads_no_profile_and_writes_no_state() -> None:
    state = Value()
    assert not SweepUsers(HashMap(u=b"no profile"), state, frozenset(), PROFILE).begin(KEY, BEGUN)
    assert state.updates == []


def test_a_timer_of_an_attempt_before_does_nothing() -> None:
    sweep = SweepUsers(HashMap(), Value(), frozenset("a"), PROFILE)
    assert sweep.turn(KEY) is None
    assert sweep.pause_ms(KEY) is None


def test_more_buckets_under_way_wait_longer_each_so_that_a_subtask_s_turns_keep_their_distance() -> None:
    sweep = SweepUsers(HashMap(), Value(), frozenset("a"), PROFILE)
    for key in range(8):
        sweep.begin(key, BEGUN)
    assert sweep.pause_ms(0) == 8 * sweep_users.PAUSE_MS
    sweep.turn(0)
    assert (sweep.pause_ms(0), sweep.pause_ms(1)) == (None, 7 * sweep_users.PAUSE_MS)


@pytest.mark.parametrize("exclude_seen", [True, False])
def test_an_owner_excludes_what_a_behaviour_s_list_would(exclude_seen: bool) -> None:
    rules = replace(PROFILE, exclude_seen=exclude_seen, disliked_neighborhoods=1)
    owned, seen, disliked, history = (unpack(hashes(*items.split())) for items in ("o", "s", "d e", "h"))
    profile = UserProfile(3, items=history, seen=seen, bought=owned, disliked=disliked)
    owner = list_owner("u", profile, rules)
    assert set(unpack(owner.excluded)) == set(unpack(hashes(*("odesh" if exclude_seen else "ode"))))
    assert owner.disliked == hashes("e")

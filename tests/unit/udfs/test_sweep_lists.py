"""What is withdrawn leaves every stored list, whatever happens between two turns, and nothing else changes."""

from array import array
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.udfs.default_rules import LISTS
from tests.unit.udfs.examples import proposals, scored
from udfs.elements import Begun
from udfs.lists import sweep_lists
from udfs.lists.list_codec import decode_list, encode_list
from udfs.lists.sweep_lists import Begin, ListSweep, without
from udfs.lists.user_list import Fallbacks, Policy, ReasonCode, UserList, update

KEY, NOW_MS = 7, 1_700_000_000_123
BEGIN = Begin(epoch=9, begun=Begun(log_partition=2, log_offset=41))
ITEMS = "abcdefgh"


class HashMap(dict[str, bytes]):
    """A bucket's lists in Flink's hash map: it ends an iteration that a new user comes into."""

    def put(self, key: str, value: bytes) -> None:
        self[key] = value


class RocksDB(HashMap):
    """The same in RocksDB: an iteration goes on behind the key it came to, and reads ahead."""

    def items(self) -> Any:
        last = ""
        while ahead := [(key, self[key]) for key in sorted(self) if key > last][:3]:
            yield from ahead
            last = ahead[-1][0]


@dataclass
class Value:
    """A ValueState."""

    state: bytes | None = None
    updates: list[bytes] = field(default_factory=list)

    def value(self) -> bytes | None:
        return self.state

    def update(self, state: bytes) -> None:
        self.state = state
        self.updates.append(state)


def stored(items: str, seq: int = 3) -> bytes:
    scores = array("f", [1 - place / 10 for place in range(len(items))])
    return encode_list(UserList(seq + 1, seq, list(items), scores, [ReasonCode.MODEL] * len(items)))


def swept(lists: HashMap, state: Value, *withdrawn: str, turns: int = 1_000) -> list[dict[str, Any]]:
    """The rows of a whole sweep."""
    sweep = ListSweep(lists, state, frozenset(withdrawn), Policy.RECOMMEND)
    more, rows = sweep.begin(KEY, BEGIN), []
    while more and turns:
        made, more = sweep.turn(KEY, NOW_MS)
        rows += made
        turns -= 1
    return [msgspec.structs.asdict(row) for row in rows]


lists_of_users = st.dictionaries(
    st.text("uvw", min_size=1, max_size=4), st.lists(st.sampled_from(ITEMS), unique=True).map("".join), max_size=30
)


@settings(deadline=None)
@given(lists_of_users, st.sets(st.sampled_from(ITEMS)), st.sampled_from([HashMap, RocksDB]))
def test_every_list_with_a_withdrawn_item_is_made_anew_once(
    users: dict[str, str], withdrawn: set[str], backend: type[HashMap]
) -> None:
    lists, state = backend({user: stored(items) for user, items in users.items()}), Value()
    rows = swept(lists, state, *withdrawn)
    hit = {user for user, items in users.items() if withdrawn & set(items)}
    assert sorted(row["user_id"] for row in rows) == sorted(hit)
    for user, items in users.items():
        after = decode_list(lists[user])
        assert after.items == [item for item in items if item not in withdrawn]
        assert (after.list_version, after.user_seq) == (4 + (user in hit), 3)
        assert len(after.items) == len(after.scores) == len(after.reasons)
    assert swept(lists, state, *withdrawn) == []


def test_a_row_says_that_the_item_was_the_cause() -> None:
    (row,) = swept(HashMap(u=stored("abc")), Value(), "b")
    assert (row["action"], row["item_id"], row["source"], row["items"]) == ("withdrawn", "b", "rules", ["a", "c"])
    assert row["scores"] == [1.0, 0.8]
    assert (row["epoch"], row["log_partition"], row["log_offset"]) == (9, 2, 41)
    assert (row["list_version"], row["user_seq"], row["written_at"]) == (5, 3, NOW_MS)
    assert row["variant"] is None


@settings(deadline=None)
@given(lists_of_users, st.data(), st.sampled_from([HashMap, RocksDB]))
def test_behaviours_and_new_users_between_two_turns_are_not_undone(
    users: dict[str, str], data: st.DataObject, backend: type[HashMap]
) -> None:
    lists = backend({user: stored(items) for user, items in users.items()})
    rules = replace(LISTS, length=8, withdrawn=frozenset("a"))
    sweep = ListSweep(lists, Value(), rules.withdrawn, Policy.RECOMMEND)
    more, made = sweep.begin(KEY, BEGIN), 0
    with small_turns():
        while more:
            _, more = sweep.turn(KEY, NOW_MS)
            user = data.draw(st.sampled_from([*users, f"new{made}", f"u{made}"]))
            before = decode_list(lists[user]) if user in lists else UserList()
            done = scored(proposals("a", "x"), seq=before.user_seq + 1)
            lists.put(user, encode_list(update(before, done, rules, Fallbacks())))
            users = {**users, user: "x"}
            made += 1
    for user, items in users.items():
        assert decode_list(lists[user]).items == [item for item in items if item != "a"]


def test_a_turn_is_bounded_and_a_restart_in_between_begins_again() -> None:
    lists, state = HashMap({f"u{number}": stored("ab") for number in range(1_000)}), Value()
    first = swept(lists, state, "a", turns=2)
    assert len(first) == 2 * sweep_lists.LISTS_A_TURN
    assert state.updates == []
    assert len(first) + len(swept(lists, state, "a")) == 1_000
    assert len(state.updates) == 1


def test_what_is_withdrawn_no_more_needs_no_sweep_and_once_more_does() -> None:
    lists, state = HashMap(u=stored("abc")), Value()
    assert len(swept(lists, state, "a", "b")) == 1
    lists.put("u", stored("cd"))
    assert swept(lists, state, "a") == []
    lists.put("u", stored("bc"))
    assert len(swept(lists, state, "a", "b")) == 1


def test_nothing_withdrawn_reads_no_list_and_writes_no_state() -> None:
    state = Value()
    assert swept(HashMap(u=b"no list"), state) == []
    assert state.updates == []


def test_a_timer_of_an_attempt_before_does_nothing() -> None:
    assert ListSweep(HashMap(), Value(), frozenset("a"), Policy.RECOMMEND).turn(KEY, NOW_MS) == ([], False)


def test_the_next_behaviour_goes_on_from_the_swept_list() -> None:
    rules = replace(LISTS, length=3, withdrawn=frozenset("b"))
    after = update(
        without(decode_list(stored("abc")), rules.withdrawn), scored(None, seq=4), rules, Fallbacks(["b", "d"])
    )
    assert (after.items, after.list_version, after.user_seq) == (["a", "c", "d"], 6, 4)


class small_turns:
    """One list a turn."""

    def __enter__(self) -> None:
        self._before, sweep_lists.LISTS_A_TURN = sweep_lists.LISTS_A_TURN, 1

    def __exit__(self, *_: object) -> None:
        sweep_lists.LISTS_A_TURN = self._before

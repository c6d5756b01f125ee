"""A bucket's state as track-users and update-lists have it, and a whole sweep of it, without Flink between them."""

from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from tests.unit.udfs.default_rules import LISTS, PROFILE
from tests.unit.udfs.examples import hashes
from udfs.elements import Begun
from udfs.hashing import unpack
from udfs.lists.entries import ReasonCode
from udfs.lists.list_codec import encode_list
from udfs.lists.list_rules import Fallbacks, ListRules
from udfs.lists.sweep_lists import sweep_list, swept_list_row
from udfs.lists.user_list import UserList
from udfs.users import sweep_users
from udfs.users.profile import UserProfile
from udfs.users.profile_codec import encode_profile
from udfs.users.sweep_users import SweepUsers

KEY, NOW_MS, EPOCH = 7, 1_700_000_000_123, 9
BEGUN = Begun(log_partition=2, log_offset=41)
RULES = replace(LISTS, length=3)


class HashMap(dict[str, bytes]):
    """A bucket's entries in Flink's hash map: it ends an iteration that a new user comes into."""

    def put(self, key: str, value: bytes) -> None:
        self[key] = value


class RocksDB(HashMap):
    """The same in RocksDB: an iteration goes on behind the key it came to, and reads ahead."""

    def keys(self) -> Any:
        last = ""
        while ahead := [key for key in sorted(self) if key > last][:3]:
            yield from ahead
            last = ahead[-1]


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


@dataclass
class Bucket:
    """The profiles and lists of a bucket's users, and what was swept."""

    profiles: HashMap = field(default_factory=HashMap)
    lists: dict[str, bytes] = field(default_factory=dict)
    state: Value = field(default_factory=Value)

    def put(self, user: str, items: Iterable[str], *, owned: Iterable[str] = (), seen: Iterable[str] = ()) -> None:
        """A user with three behaviours behind."""
        profile = UserProfile(user_seq=3, bought=unpack(hashes(*owned)), items=unpack(hashes(*seen)))
        self.profiles[user] = encode_profile(profile)
        self.lists[user] = stored(items)

    def begun(self, *withdrawn: str) -> SweepUsers | None:
        """A sweep that has begun; None where none has to be done."""
        sweep = SweepUsers(self.profiles, self.state, frozenset(withdrawn), PROFILE)
        return sweep if sweep.begin(KEY, BEGUN) else None

    def turn(self, sweep: SweepUsers, rules: ListRules, fallbacks: Fallbacks) -> list[dict[str, Any]]:
        """The rows of one turn."""
        found = sweep.turn(KEY)
        rows = []
        for owner in () if found is None else found.owners:
            if each := sweep_list(owner, self.lists.get(owner.user_id), rules, fallbacks):
                self.lists[each.user_id] = encode_list(each.made)
                rows.append(
                    swept_list_row(
                        each,
                        policy=rules.policy,
                        begun=BEGUN,
                        trend_snapshot=fallbacks.snapshot_id,
                        now_ms=NOW_MS,
                        epoch=EPOCH,
                    )
                )
        return [msgspec.structs.asdict(row) for row in rows]

    def swept(
        self, *withdrawn: str, rules: ListRules = RULES, fallbacks: Fallbacks | None = None, turns: int = 1_000
    ) -> list[dict[str, Any]]:
        """The rows of a whole sweep."""
        sweep, rows = self.begun(*withdrawn), []
        rules = replace(rules, withdrawn=frozenset(withdrawn))
        while sweep is not None and sweep.pause_ms(KEY) is not None and turns:
            rows += self.turn(sweep, rules, fallbacks or Fallbacks())
            turns -= 1
        return rows


def stored(items: Iterable[str], seq: int = 3) -> bytes:
    listed = list(items)
    scores = array("f", [1 - place / 10 for place in range(len(listed))])
    return encode_list(UserList(seq + 1, seq, listed, scores, [ReasonCode.MODEL] * len(listed)))


@contextmanager
def turns_of(users: int) -> Iterator[None]:
    before, sweep_users.USERS_A_TURN = sweep_users.USERS_A_TURN, users
    try:
        yield
    finally:
        sweep_users.USERS_A_TURN = before

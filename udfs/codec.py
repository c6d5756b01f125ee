"""The bytes in which managed keyed state holds profiles, lists, log positions and trends.

Layout: one version byte, then a MessagePack array. A decoder reads every version that was ever written;
tests/contract keeps fixtures of each. Nothing is pickled: state outlives the code that wrote it.
"""

from array import array
from itertools import accumulate
from typing import Any

import msgspec

from udfs.elements import TrendSnapshot
from udfs.hashing import HASH_TYPECODE, id_hash, pack, unpack
from udfs.lists.user_list import UserList
from udfs.log.position import LogPosition
from udfs.state_bytes import VERSION_1, VERSION_2, of_versions, version_1
from udfs.users.profile import TIME_TYPECODE, Shown, UserProfile, history_time

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode


def encode_profile(profile: UserProfile) -> bytes:
    """A profile's state: about 20 bytes and, an item of the history, 13 more."""
    return VERSION_2 + _pack(
        (
            profile.user_seq,
            pack(profile.items),
            bytes(profile.actions),
            profile.times.tobytes(),
            pack(profile.seen),
            pack(profile.bought),
            pack(profile.disliked),
            pack(profile.event_ids),
            [(item, *shown) for item, shown in profile.shown.items()],
            profile.forgotten,
        )
    )


def decode_profile(state: bytes) -> UserProfile:
    """The inverse of `encode_profile`.

    Raises:
        StateVersionError: the version byte is unknown.
    """
    version, rest = of_versions(state, VERSION_1, VERSION_2)
    user_seq, items, actions, times, seen, bought, disliked, event_ids, shown, forgotten = _unpack(rest)
    if version == VERSION_1:
        items, times = _history_1(items, times)
    return UserProfile(
        user_seq,
        unpack(items),
        bytearray(actions),
        array(TIME_TYPECODE, times),
        unpack(seen),
        unpack(bought),
        unpack(disliked),
        unpack(event_ids),
        {item: Shown(count, time_ms) for item, count, time_ms in shown},
        forgotten,
    )


def encode_list(user_list: UserList) -> bytes:
    """A list's state: about 14 bytes an item."""
    return VERSION_1 + _pack(
        (
            user_list.list_version,
            user_list.user_seq,
            user_list.items,
            user_list.scores.tobytes(),
            user_list.reasons,
        )
    )


def decode_list(state: bytes) -> UserList:
    """The inverse of `encode_list`.

    Raises:
        StateVersionError: the version byte is unknown.
    """
    list_version, user_seq, items, scores, reasons = _fields(state)
    user_list = UserList(list_version, user_seq, items, reasons=reasons)
    user_list.scores.frombytes(scores)
    return user_list


def encode_position(position: LogPosition) -> bytes:
    """A log partition's state."""
    return VERSION_1 + _pack(
        (position.partition, position.next_offset, position.cursor, position.newest_ms, position.epoch)
    )


def decode_position(state: bytes) -> LogPosition:
    """The inverse of `encode_position`.

    Raises:
        StateVersionError: the version byte is unknown.
    """
    return LogPosition(*_fields(state))


def encode_trends(snapshot: TrendSnapshot) -> bytes:
    """The trends a bucket was told last."""
    return VERSION_1 + _pack((snapshot.snapshot_id, snapshot.strengths))


def decode_trends(state: bytes) -> TrendSnapshot:
    """The inverse of `encode_trends`.

    Raises:
        StateVersionError: the version byte is unknown.
    """
    return TrendSnapshot(*_fields(state))


def encode_hashes(hashes: "array[int]") -> bytes:
    """The withdrawn items that a bucket's lists are free of."""
    return VERSION_1 + _pack((pack(hashes),))


def decode_hashes(state: bytes) -> "array[int]":
    """The inverse of `encode_hashes`.

    Raises:
        StateVersionError: the version byte is unknown.
    """
    (packed,) = _fields(state)
    return unpack(packed)


def _fields(state: bytes) -> Any:
    return _unpack(version_1(state))


def _history_1(items: list[str], deltas: list[int]) -> tuple[bytes, bytes]:
    """Version 1 had item ids, and the first time and then each one's distance from the one before, epoch ms."""
    times = array(TIME_TYPECODE, map(history_time, accumulate(deltas)))
    return pack(array(HASH_TYPECODE, map(id_hash, items))), times.tobytes()

"""The bytes in which managed keyed state holds profiles, lists, log positions and trends.

Layout: one version byte, then a MessagePack array. A decoder reads every version that was ever written;
tests/contract keeps fixtures of each. Nothing is pickled: state outlives the code that wrote it.
"""

from typing import Any

import msgspec

from udfs.elements import TrendSnapshot
from udfs.hashing import pack, unpack
from udfs.log_position import LogPosition
from udfs.profile import Shown, UserProfile
from udfs.state_version import VERSION_1, version_1
from udfs.user_list import UserList

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode


def encode_profile(profile: UserProfile) -> bytes:
    """A profile's state: 30 bytes and, an item of the history, 7 to 12 more."""
    return VERSION_1 + _pack(
        (
            profile.user_seq,
            profile.items,
            bytes(profile.actions),
            _deltas(profile.times),
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
    user_seq, items, actions, deltas, seen, bought, disliked, event_ids, shown, forgotten = _fields(state)
    return UserProfile(
        user_seq,
        items,
        bytearray(actions),
        _sums(deltas),
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


def _fields(state: bytes) -> Any:
    return _unpack(version_1(state))


def _deltas(times: list[int]) -> list[int]:
    """The first time, then each one's distance from the one before: 2 to 5 bytes instead of 9."""
    return [time - before for before, time in zip([0, *times], times, strict=False)]


def _sums(deltas: list[int]) -> list[int]:
    times, time = [], 0
    for delta in deltas:
        time += delta
        times.append(time)
    return times

"""The bytes in which managed keyed state holds profiles, and what track-users keeps beside them.

Layout: one version byte, then a MessagePack array. A decoder reads every version that was ever written;
tests/contract keeps fixtures of each. Nothing is pickled: state outlives the code that wrote it.
"""

from array import array
from itertools import accumulate

from udfs.hashing import HASH_TYPECODE, id_hash, pack, unpack
from udfs.state_bytes import VERSION_1, VERSION_2, fields_1, of_versions, pack_fields, unpack_fields
from udfs.users.profile import TIME_TYPECODE, Shown, UserProfile, history_time


def encode_profile(profile: UserProfile) -> bytes:
    """Return a profile's state: about 20 bytes, and 13 more for each item of the history."""
    return VERSION_2 + pack_fields(
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
    """Return the profile that a state holds: the inverse of `encode_profile`.

    Raises:
        StateVersionError: the version byte is unknown.
    """
    version, rest = of_versions(state, VERSION_1, VERSION_2)
    user_seq, items, actions, times, seen, bought, disliked, event_ids, shown, forgotten = unpack_fields(rest)
    if version == VERSION_1:
        # It had item ids, and the first time, epoch ms, followed by each one's distance from the one before.
        items = pack(array(HASH_TYPECODE, map(id_hash, items)))
        times = array(TIME_TYPECODE, map(history_time, accumulate(times))).tobytes()
    return UserProfile(
        user_seq=user_seq,
        items=unpack(items),
        actions=bytearray(actions),
        times=array(TIME_TYPECODE, times),
        seen=unpack(seen),
        bought=unpack(bought),
        disliked=unpack(disliked),
        event_ids=unpack(event_ids),
        shown={item: Shown(count, time_ms) for item, count, time_ms in shown},
        forgotten=forgotten,
    )


def encode_hashes(hashes: "array[int]") -> bytes:
    """Return the state of the withdrawn items that a bucket's lists are free of."""
    return VERSION_1 + pack_fields((pack(hashes),))


def decode_hashes(state: bytes) -> "array[int]":
    """Return the hashes that a state holds: the inverse of `encode_hashes`.

    Raises:
        StateVersionError: the version byte is unknown.
    """
    (packed,) = fields_1(state)
    return unpack(packed)

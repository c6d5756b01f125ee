"""The bytes in which managed keyed state holds lists, and what update-lists keeps beside them.

Layout: one version byte, then a MessagePack array. A decoder reads every version that was ever written;
tests/contract keeps fixtures of each. Nothing is pickled: state outlives the code that wrote it.
"""

from udfs.elements import TrendSnapshot
from udfs.lists.user_list import UserList
from udfs.state_bytes import VERSION_1, VERSION_2, fields_1, of_versions, pack_fields, unpack_fields


def encode_list(user_list: UserList) -> bytes:
    """Return a list's state: about 14 bytes per item, and 8 more where some are explored.

    A list without these and without an interval is written as version 1, which earlier releases read.
    """
    fields = (
        user_list.list_version,
        user_list.user_seq,
        user_list.items,
        user_list.scores.tobytes(),
        user_list.reasons,
    )
    if not user_list.propensities and not user_list.renewed_ms:
        return VERSION_1 + pack_fields(fields)
    return VERSION_2 + pack_fields((*fields, user_list.propensities.tobytes(), user_list.renewed_ms))


def decode_list(state: bytes) -> UserList:
    """Return the list that a state holds: the inverse of `encode_list`.

    Raises:
        StateVersionError: the version byte is unknown.
    """
    version, rest = of_versions(state, VERSION_1, VERSION_2)
    list_version, user_seq, items, scores, reasons, *added = unpack_fields(rest)
    user_list = UserList(list_version=list_version, user_seq=user_seq, items=items, reasons=reasons)
    user_list.scores.frombytes(scores)
    if version == VERSION_2:
        propensities, user_list.renewed_ms = added
        user_list.propensities.frombytes(propensities)
    return user_list


def encode_trends(snapshot: TrendSnapshot) -> bytes:
    """Return the state of the trends that a bucket was sent last."""
    return VERSION_1 + pack_fields((snapshot.snapshot_id, snapshot.strengths))


def decode_trends(state: bytes) -> TrendSnapshot:
    """Return the trends that a state holds: the inverse of `encode_trends`.

    Raises:
        StateVersionError: the version byte is unknown.
    """
    snapshot_id, strengths = fields_1(state)
    return TrendSnapshot(snapshot_id=snapshot_id, strengths=strengths)

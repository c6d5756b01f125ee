"""The bytes in which managed keyed state holds lists, and what update-lists keeps beside them.

Layout: one version byte, then a MessagePack array. A decoder reads every version that was ever written;
tests/contract keeps fixtures of each. Nothing is pickled: state outlives the code that wrote it.
"""

from udfs.elements import TrendSnapshot
from udfs.lists.user_list import UserList
from udfs.state_bytes import VERSION_1, fields_1, pack_fields


def encode_list(user_list: UserList) -> bytes:
    """Return a list's state: about 14 bytes per item."""
    return VERSION_1 + pack_fields(
        (
            user_list.list_version,
            user_list.user_seq,
            user_list.items,
            user_list.scores.tobytes(),
            user_list.reasons,
        )
    )


def decode_list(state: bytes) -> UserList:
    """Return the list that a state holds: the inverse of `encode_list`.

    Raises:
        StateVersionError: the version byte is unknown.
    """
    list_version, user_seq, items, scores, reasons = fields_1(state)
    user_list = UserList(list_version=list_version, user_seq=user_seq, items=items, reasons=reasons)
    user_list.scores.frombytes(scores)
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

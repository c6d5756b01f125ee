"""The bytes in which managed keyed state holds the position of a log partition.

Layout: one version byte, then a MessagePack array. A decoder reads every version that was ever written;
tests/contract keeps fixtures of each. Nothing is pickled: state outlives the code that wrote it.
"""

from udfs.log.position import LogPosition
from udfs.state_bytes import VERSION_1, fields_1, pack_fields


def encode_position(position: LogPosition) -> bytes:
    """Return a log partition's state."""
    return VERSION_1 + pack_fields(
        (position.partition, position.next_offset, position.cursor, position.newest_ms, position.epoch)
    )


def decode_position(state: bytes) -> LogPosition:
    """Return the position that a state holds: the inverse of `encode_position`.

    Raises:
        StateVersionError: the version byte is unknown.
    """
    partition, next_offset, cursor, newest_ms, epoch = fields_1(state)
    return LogPosition(partition=partition, next_offset=next_offset, cursor=cursor, newest_ms=newest_ms, epoch=epoch)

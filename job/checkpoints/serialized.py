"""The forms in which Flink's serializers store the keys and values of keyed state. Pure.

A key is: the key group, one byte or two; the key, a Row of one int; the namespace, one byte; and in a map the map's
own key, a string. A value is the length of the operator's bytes and these bytes; in a map a byte before it says
whether it is null.
"""

import struct
from typing import NamedTuple

_INT = struct.Struct(">i")
_ROW_BYTES = 5
"""The Row's mask of nulls, and the int."""
_NAMESPACE_BYTES = 1
_ONE_BYTE_GROUPS = 128
"""Up to so many key groups a key begins with one byte, else with two."""
_MORE = 0x80


class StateKey(NamedTuple):
    """The key of an entry.

    Attributes:
        group: its key group.
        key: the key of the stream, a log partition's or a user bucket's.
        map_key: the key within a map; None where the state is a single value.
    """

    group: int
    key: int
    map_key: str | None


def state_key(stored: bytes, max_parallelism: int) -> StateKey:
    """Return the parts of a stored key.

    Raises:
        ValueError: it is none of a state keyed by a Row of one int.
    """
    prefix = _prefix_bytes(max_parallelism)
    at = prefix + _ROW_BYTES + _NAMESPACE_BYTES
    if len(stored) < at or stored[prefix] or stored[at - 1]:
        msg = f"{stored.hex()} is no key of a Row of one int"
        raise ValueError(msg)
    (key,) = _INT.unpack_from(stored, prefix + 1)
    return StateKey(int.from_bytes(stored[:prefix], "big"), key, text(stored[at:]) if len(stored) > at else None)


def group_prefix(group: int, max_parallelism: int) -> bytes:
    """Return the bytes with which all keys of a key group begin."""
    return group.to_bytes(_prefix_bytes(max_parallelism), "big")


def state_value(stored: bytes, *, in_map: bool) -> bytes:
    """Return the bytes that an operator wrote.

    Raises:
        ValueError: they are not whole, or null.
    """
    if in_map:
        if stored[:1] != b"\0":
            msg = "a value of a map is null"
            raise ValueError(msg)
        stored = stored[1:]
    if len(stored) < _INT.size or _INT.unpack_from(stored)[0] != len(stored) - _INT.size:
        msg = f"a value of {len(stored)} bytes does not have the length that it begins with"
        raise ValueError(msg)
    return stored[_INT.size :]


def text(stored: bytes) -> str:
    """Return a string of Flink's StringSerializer: its length plus one, then its UTF-16 units, seven bits a byte.

    Raises:
        ValueError: it is not whole, or null.
    """
    numbers = _numbers(stored)
    if not numbers or numbers[0] != len(numbers):
        msg = f"{stored.hex()} is no string of Flink's"
        raise ValueError(msg)
    units = numbers[1:]
    if max(units, default=0) > 0xFFFF:
        msg = f"{stored.hex()} has a character of more than 16 bits"
        raise ValueError(msg)
    return b"".join(unit.to_bytes(2, "little") for unit in units).decode("utf-16-le")


def _numbers(stored: bytes) -> list[int]:
    """Return the numbers of a string of bytes: seven bits each, the lowest first, and a mark where more follow."""
    found, number, shift = [], 0, 0
    for byte in stored:
        number |= (byte & ~_MORE) << shift
        shift += 7
        if not byte & _MORE:
            found.append(number)
            number, shift = 0, 0
    if shift:
        msg = f"{stored.hex()} ends in the middle of a number"
        raise ValueError(msg)
    return found


def _prefix_bytes(max_parallelism: int) -> int:
    return 1 if max_parallelism <= _ONE_BYTE_GROUPS else 2

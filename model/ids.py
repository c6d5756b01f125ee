"""Ids: their text where they are written as numbers, their bounds, their hashes, and a user's newest event ids."""

import hashlib
import re
from array import array
from functools import lru_cache

MAX_ID_BYTES = 256
"""The longest id, in UTF-8."""
EVENT_IDS_KEPT = 64
"""The number of a user's newest event ids that are remembered, by the job and by all readers of a log."""

HASH_TYPECODE = "q"
"""`array.array` type of packed hashes: signed 64 bit, 8 bytes each, in the machine's (little) byte order."""

_LARGEST_EXACT = 2.0**53
_WHOLE_FLOAT = re.compile(r"(-?[0-9]+)\.0+")


def id_text(value: object) -> str | None:
    """Return the text of an id: 12 and 12.0 are both "12"; None for a value that is no text and no whole number."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return str(int(value)) if abs(value) < _LARGEST_EXACT and value == int(value) else None
    return str(value) if isinstance(value, int) else None


def cell_id(cell: str) -> str:
    """Return the id in a cell of a text file: without spaces around it, and "12" for 12.0."""
    cell = cell.strip()
    whole = _WHOLE_FLOAT.fullmatch(cell) if cell.endswith("0") else None
    return whole[1] if whole else cell


@lru_cache(maxsize=65_536)
def id_hash(identifier: str) -> int:
    """Return the signed 64-bit BLAKE2b hash by which state remembers an item or an event in 8 bytes.

    With 1,000,000 items the chance that any two collide is 3e-8.
    """
    return int.from_bytes(hashlib.blake2b(identifier.encode(), digest_size=8).digest(), "little", signed=True)


def is_new_event(known: "array[int]", event_id: str, limit: int = EVENT_IDS_KEPT) -> bool:
    """Remember one user's event, and return False if it is among the newest `limit` already.

    Args:
        known: hashes of the user's newest event ids, oldest first; changed in place.
        event_id: of the next behaviour.
        limit: how many ids are kept.
    """
    event = id_hash(event_id)
    if event in known:
        return False
    known.append(event)
    del known[:-limit]
    return True

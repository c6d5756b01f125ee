"""Hashes that are the same in every process, on every machine and in every release."""

import hashlib
from array import array
from functools import lru_cache
from zlib import crc32

HASH_TYPECODE = "q"
"""`array.array` type of packed hashes: signed 64 bit, 8 bytes each, in the machine's (little) byte order."""


def stable_hash(user_id: str) -> int:
    """Hash that decides a user's log partition and user bucket: CRC-32 of the UTF-8 bytes, 0 to 2**32 - 1.

    Every producer partitions by it (`stable_hash(user_id) % partitions`), so that all behaviours of a user
    are in one partition and keep their order.
    """
    return crc32(user_id.encode())


@lru_cache(maxsize=65_536)
def id_hash(identifier: str) -> int:
    """Signed 64-bit BLAKE2b hash by which state remembers an item or an event in 8 bytes.

    With 1,000,000 items the chance that any two collide is 3e-8.
    """
    return int.from_bytes(hashlib.blake2b(identifier.encode(), digest_size=8).digest(), "little", signed=True)


def pack(hashes: "array[int]") -> bytes:
    """The hashes as 8 bytes each."""
    return hashes.tobytes()


def unpack(packed: bytes) -> "array[int]":
    """The inverse of `pack`.

    Raises:
        ValueError: the length is not a multiple of 8.
    """
    hashes = array(HASH_TYPECODE)
    hashes.frombytes(packed)
    return hashes

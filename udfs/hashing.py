"""Hashes that are the same in every process, on every machine and in every release."""

from array import array
from zlib import crc32

from model.ids import HASH_TYPECODE, id_hash

__all__ = ["HASH_TYPECODE", "id_hash", "pack", "stable_hash", "unpack"]


def stable_hash(user_id: str) -> int:
    """Return the hash that decides a user's log partition and bucket: CRC-32 of the UTF-8 bytes, 0 to 2**32 - 1.

    Every producer partitions by it (`stable_hash(user_id) % partitions`), so that all behaviours of a user
    are in one partition and keep their order.
    """
    return crc32(user_id.encode())


def pack(hashes: "array[int]") -> bytes:
    """Return the hashes as 8 bytes each."""
    return hashes.tobytes()


def unpack(packed: bytes) -> "array[int]":
    """Return the hashes of packed bytes: the inverse of `pack`.

    Raises:
        ValueError: the length is not a multiple of 8.
    """
    hashes = array(HASH_TYPECODE)
    hashes.frombytes(packed)
    return hashes

"""The keys of user buckets and log partitions, chosen so that Flink spreads them evenly.

Flink hashes a key into one of `max_parallelism` key groups and gives each subtask a contiguous range of groups.
With a bucket number as the key, several buckets would share a group and others stay empty. Here bucket b has
the integer key whose key group is b, so that every parallelism gets the same number of buckets per subtask, give
or take one. Checked against Flink's own classes in tests/contract.
"""

from functools import cache

from udfs.hashing import stable_hash

_MASK = 0xFFFFFFFF
_ROW_KEY_BASE = 62
"""Java's hash of a one-field insert Row is this plus the field's hash (an int's hash is itself)."""


def key_group(key: int, max_parallelism: int) -> int:
    """Return the key group that Flink gives the key `Row(key)`, 0 to max_parallelism - 1."""
    return _murmur(_ROW_KEY_BASE + key) % max_parallelism


@cache
def bucket_keys(max_parallelism: int) -> tuple[int, ...]:
    """Return for each bucket 0 to max_parallelism - 1 the smallest key >= 0 whose key group is the bucket's number."""
    return _first_keys(max_parallelism, 1)[0]


def bucket_key(user_id: str, max_parallelism: int) -> int:
    """Return the key of the bucket that holds this user."""
    return bucket_keys(max_parallelism)[stable_hash(user_id) % max_parallelism]


def partition_keys(partitions: int, max_parallelism: int) -> tuple[int, ...]:
    """Return distinct keys of log partitions 0 to partitions - 1.

    A partition's key does not depend on how many others there are, so partitions can be added while its offset
    is in state. Consecutive partitions lie far apart (a van der Corput sequence over the key groups).
    """
    order = _spread(max_parallelism)
    rounds = max(1, -(-partitions // max_parallelism))
    keys = _first_keys(max_parallelism, rounds)
    return tuple(keys[p // max_parallelism][order[p % max_parallelism]] for p in range(partitions))


@cache
def _first_keys(max_parallelism: int, rounds: int) -> tuple[tuple[int, ...], ...]:
    """Return rows of keys: row r holds, for each key group, the r-th smallest key that falls into it, from r = 0."""
    found: list[list[int]] = [[] for _ in range(max_parallelism)]
    missing, key = max_parallelism, 0
    while missing:
        group = found[key_group(key, max_parallelism)]
        group.append(key)
        missing -= len(group) == rounds
        key += 1
    return tuple(tuple(group[r] for group in found) for r in range(rounds))


@cache
def _spread(size: int) -> tuple[int, ...]:
    """Return 0 to size - 1 in the order of their bit-reversed numbers: any prefix is spread evenly."""
    bits = max(size - 1, 1).bit_length()
    reversed_numbers = (int(format(i, f"0{bits}b")[::-1], 2) for i in range(1 << bits))
    return tuple(number for number in reversed_numbers if number < size)


def _murmur(code: int) -> int:
    """Return Flink's `MathUtils.murmurHash`: MurmurHash3 of one 32-bit integer, made non-negative."""
    code = code * 0xCC9E2D51 & _MASK
    code = _rotate_left(code, 15) * 0x1B873593 & _MASK
    code = _rotate_left(code, 13)
    code = (code * 5 + 0xE6546B64) & _MASK
    code ^= 4
    code ^= code >> 16
    code = code * 0x85EBCA6B & _MASK
    code ^= code >> 13
    code = code * 0xC2B2AE35 & _MASK
    code ^= code >> 16
    signed = code - (1 << 32) if code >> 31 else code
    return 0 if signed == -(1 << 31) else abs(signed)


def _rotate_left(value: int, distance: int) -> int:
    return (value << distance | value >> (32 - distance)) & _MASK

"""Buckets and log partitions get keys that Flink spreads evenly; tests/contract holds them against Flink's classes."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.buckets import bucket_key, bucket_keys, key_group, partition_keys
from udfs.hashing import stable_hash

sizes = st.sampled_from([1, 2, 3, 32, 100, 128])


def subtasks(groups: list[int], max_parallelism: int, parallelism: int) -> Counter[int]:
    """How many of the key groups each subtask gets, by Flink's formula."""
    return Counter(group * parallelism // max_parallelism for group in groups)


@pytest.mark.parametrize("max_parallelism", [1, 2, 3, 32, 128, 1000])
def test_bucket_keys_hit_the_bucket_with_the_groups_number(max_parallelism: int) -> None:
    groups = [key_group(key, max_parallelism) for key in bucket_keys(max_parallelism)]
    assert groups == list(range(max_parallelism))


def test_the_first_bucket_keys_are_frozen() -> None:
    assert bucket_keys(32)[:8] == (13, 0, 53, 117, 39, 11, 62, 50)


def test_a_user_is_in_the_bucket_of_the_users_hash() -> None:
    assert key_group(bucket_key("u1", 32), 32) == stable_hash("u1") % 32


@pytest.mark.parametrize("parallelism", [1, 2, 3, 5, 8, 32])
def test_every_subtask_gets_as_many_buckets_give_or_take_one(parallelism: int) -> None:
    counts = subtasks([key_group(key, 32) for key in bucket_keys(32)], 32, parallelism)
    assert len(counts) == parallelism
    assert max(counts.values()) - min(counts.values()) <= 1


def test_users_spread_over_the_buckets() -> None:
    counts = Counter(bucket_key(f"user-{number}", 32) for number in range(32_000))
    assert len(counts) == 32
    assert max(counts.values()) < 1_200


@given(st.integers(1, 300), sizes)
def test_partition_keys_are_distinct(partitions: int, max_parallelism: int) -> None:
    assert len(set(partition_keys(partitions, max_parallelism))) == partitions


@given(st.integers(1, 150), st.integers(1, 150), sizes)
def test_a_partitions_key_does_not_depend_on_how_many_there_are(few: int, more: int, max_parallelism: int) -> None:
    assert partition_keys(few + more, max_parallelism)[:few] == partition_keys(few, max_parallelism)


@pytest.mark.parametrize("parallelism", [1, 2, 4])
def test_four_partitions_spread_over_the_subtasks(parallelism: int) -> None:
    counts = subtasks([key_group(key, 32) for key in partition_keys(4, 32)], 32, parallelism)
    assert set(counts.values()) == {4 // parallelism}


def test_a_log_whose_partitions_are_not_known_yet_has_no_keys() -> None:
    assert partition_keys(0, 32) == ()

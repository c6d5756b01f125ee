"""Our arithmetic of key groups is Flink's: bucket b's key falls into key group b, and so to the subtask we expect."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from udfs.buckets import bucket_keys, key_group, partition_keys


@pytest.fixture(scope="package")
def assignment(flink: Any) -> Any:
    return flink.jvm.org.apache.flink.runtime.state.KeyGroupRangeAssignment


def row(flink: Any, key: int) -> Any:
    """The key as Flink hashes it: a Java Row of one integer."""
    made = flink.jvm.org.apache.flink.types.Row(1)
    made.setField(0, key)
    return made


@pytest.mark.parametrize("max_parallelism", [1, 7, 32, 128])
def test_bucket_keys_match_flink(flink: Any, assignment: Any, max_parallelism: int) -> None:
    groups = [assignment.assignToKeyGroup(row(flink, key), max_parallelism) for key in bucket_keys(max_parallelism)]
    assert groups == list(range(max_parallelism))


@settings(max_examples=50)
@given(st.integers(0, 2**31 - 1), st.integers(1, 2**15))
def test_the_key_group_of_any_key_matches_flink(flink: Any, assignment: Any, key: int, max_parallelism: int) -> None:
    assert key_group(key, max_parallelism) == assignment.assignToKeyGroup(row(flink, key), max_parallelism)


@pytest.mark.parametrize("parallelism", [1, 2, 4])
def test_four_partitions_spread_over_flinks_subtasks(flink: Any, assignment: Any, parallelism: int) -> None:
    keys = partition_keys(4, 32)
    subtasks = [assignment.assignKeyToParallelOperator(row(flink, key), 32, parallelism) for key in keys]
    assert sorted(map(subtasks.count, range(parallelism))) == [4 // parallelism] * parallelism

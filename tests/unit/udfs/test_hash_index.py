"""Hashes become model indexes, also where several of them share a slot."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from udfs.scoring.hash_index import HashIndex

anything = st.integers(-(2**63), 2**63 - 1)
# Few low bits, so that many of them want the same slot; 0 is what an empty place holds.
crowded = st.integers(-8, 8).map(lambda high: high << 40)


@given(st.lists(anything | crowded, unique=True, max_size=40), st.lists(anything | crowded, max_size=40))
def test_each_hash_has_its_own_index_and_unknown_ones_have_none(hashes: list[int], others: list[int]) -> None:
    index = HashIndex(hashes)
    known = {value: number for number, value in enumerate(hashes, start=1)}
    asked = np.array(hashes + others, dtype=np.int64)
    assert index.find(asked).tolist() == [known.get(value, 0) for value in asked.tolist()]


@given(st.lists(anything, unique=True, min_size=1, max_size=10))
def test_an_index_has_its_hash(hashes: list[int]) -> None:
    index = HashIndex(hashes)
    assert index.hashes_of(index.find(np.array(hashes, dtype=np.int64))).tolist() == hashes

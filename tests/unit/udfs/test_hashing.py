"""Hashes never change: logs are partitioned by one, state holds the other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.hashing import id_hash, pack, stable_hash, unpack
from udfs.users.profile import UserProfile


def test_the_users_hash_is_frozen() -> None:
    assert [stable_hash(user) for user in ("", "1", "user-é")] == [0, 2212294583, 1093043653]


def test_the_ids_hash_is_frozen() -> None:
    assert [id_hash(item) for item in ("", "1682", "ü")] == [
        -5426141060434712860,
        2207872974739901633,
        3976460501203677525,
    ]


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_the_ids_hash_fits_into_8_bytes(identifier: str) -> None:
    assert -(2**63) <= id_hash(identifier) < 2**63


@given(st.lists(st.integers(-(2**63), 2**63 - 1)))
def test_packed_hashes_come_back(numbers: list[int]) -> None:
    hashes = UserProfile().seen
    hashes.extend(numbers)
    packed = pack(hashes)
    assert (len(packed), list(unpack(packed))) == (8 * len(numbers), numbers)


def test_half_a_hash_is_refused() -> None:
    with pytest.raises(ValueError, match="not a multiple"):
        unpack(b"1234567890")

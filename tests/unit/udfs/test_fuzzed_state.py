"""Any state comes back as it was; cut or lengthened bytes are refused, and other bytes raise nothing unexpected."""

import struct
from array import array
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from udfs.elements import TrendSnapshot
from udfs.feedback.minute import Minute, decode_minute, encode_minute
from udfs.hashing import HASH_TYPECODE
from udfs.lists.list_codec import decode_list, decode_trends, encode_list, encode_trends
from udfs.lists.user_list import UserList
from udfs.log.position import LogPosition
from udfs.log.position_codec import decode_position, encode_position
from udfs.state_bytes import StateVersionError
from udfs.trends.trends import decode_sum, encode_sum
from udfs.users.profile import TIME_TYPECODE, Shown, UserProfile
from udfs.users.profile_codec import decode_hashes, decode_profile, encode_hashes, encode_profile

REFUSALS = (StateVersionError, msgspec.MsgspecError, ValueError, TypeError, LookupError, ArithmeticError, struct.error)
"""What a decoder may raise of bytes that no release wrote."""
naturals = st.integers(0, 2**63 - 1)
hash_numbers = st.integers(-(2**63), 2**63 - 1)
hashes = st.lists(hash_numbers, max_size=4).map(lambda found: array(HASH_TYPECODE, found))
ids = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
floats = st.floats(allow_nan=False, width=32)


class Codec(NamedTuple):
    """A state's two functions, and what it may be."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]
    drawn: st.SearchStrategy[Any]


def profile(history: list[tuple[int, int, int]], **more: Any) -> UserProfile:
    items, actions, times = zip(*history, strict=True) if history else ((), (), ())
    return UserProfile(
        items=array(HASH_TYPECODE, items), actions=bytearray(actions), times=array(TIME_TYPECODE, times), **more
    )


def user_list(entries: list[tuple[str, float, int | str]], **more: Any) -> UserList:
    items, scores, reasons = zip(*entries, strict=True) if entries else ((), (), ())
    return UserList(items=list(items), scores=array("f", scores), reasons=list(reasons), **more)


CODECS = {
    "profile": Codec(
        encode_profile,
        decode_profile,
        st.builds(
            profile,
            st.lists(st.tuples(hash_numbers, st.integers(1, 255), st.integers(0, 2**32 - 1)), max_size=4),
            user_seq=naturals,
            seen=hashes,
            bought=hashes,
            disliked=hashes,
            event_ids=hashes,
            shown=st.dictionaries(
                st.integers(-(2**63), 2**63 - 1),
                st.builds(Shown, st.floats(0, 1e9), st.integers(0, 2**62)),
                max_size=3,
            ),
            forgotten=naturals,
        ),
    ),
    "list": Codec(
        encode_list,
        decode_list,
        st.builds(
            user_list,
            st.lists(st.tuples(ids, floats, st.integers(0, 3) | ids), max_size=4),
            list_version=naturals,
            user_seq=naturals,
        ),
    ),
    "trends": Codec(
        encode_trends,
        decode_trends,
        st.builds(TrendSnapshot, naturals, st.dictionaries(ids, st.floats(allow_nan=False), max_size=4)),
    ),
    "trend sum": Codec(encode_sum, decode_sum, st.floats(allow_nan=False)),
    "position": Codec(
        encode_position,
        decode_position,
        st.builds(
            LogPosition,
            st.integers(0, 2**31 - 1),
            next_offset=naturals,
            cursor=st.binary(max_size=20),
            newest_ms=naturals,
            epoch=naturals,
        ),
    ),
    "swept": Codec(encode_hashes, decode_hashes, hashes),
    "minute": Codec(
        encode_minute,
        decode_minute,
        st.builds(
            Minute,
            naturals,
            events=naturals,
            freshness=st.dictionaries(st.integers(-1, 400), naturals, max_size=3),
            epoch=naturals,
            changed=st.booleans(),
            fallback_reasons=st.dictionaries(ids, naturals, max_size=3),
        ),
    ),
}
codecs = pytest.mark.parametrize("codec", CODECS.values(), ids=CODECS.keys())


@codecs
@given(data=st.data())
def test_any_state_comes_back(codec: Codec, data: st.DataObject) -> None:
    state = data.draw(codec.drawn)
    assert codec.decode(codec.encode(state)) == state


@codecs
@given(data=st.data())
def test_bytes_that_were_cut_or_lengthened_are_refused(codec: Codec, data: st.DataObject) -> None:
    stored = codec.encode(data.draw(codec.drawn))
    cut = stored[: data.draw(st.integers(0, len(stored) - 1))]
    for wrong in (cut, stored + data.draw(st.binary(min_size=1, max_size=3))):
        with pytest.raises(REFUSALS):
            codec.decode(wrong)


@codecs
@given(stored=st.one_of(st.binary(max_size=40), st.binary(max_size=40).map(lambda rest: b"\x01" + rest)))
def test_other_bytes_raise_nothing_unexpected(codec: Codec, stored: bytes) -> None:
    with suppress(*REFUSALS):
        codec.decode(stored)


@codecs
@given(version=st.integers(3, 255), rest=st.binary(max_size=20))
def test_a_version_of_a_later_release_is_refused_by_its_number(codec: Codec, version: int, rest: bytes) -> None:
    with pytest.raises(StateVersionError, match=f"version {version:02x}"):
        codec.decode(bytes((version,)) + rest)

"""State that any release wrote is read for ever: the fixtures are the bytes, and are never changed, only added to."""

import re
from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from job.deployment.shipping import PROJECT
from udfs.elements import TrendSnapshot
from udfs.feedback.minute import Minute, decode_minute, encode_minute
from udfs.hashing import HASH_TYPECODE, id_hash
from udfs.lists.entries import ReasonCode
from udfs.lists.list_codec import decode_list, decode_trends, encode_list, encode_trends
from udfs.lists.user_list import UserList
from udfs.log.position import LogPosition
from udfs.log.position_codec import decode_position, encode_position
from udfs.state_bytes import StateVersionError
from udfs.trends.trends import decode_sum, encode_sum
from udfs.users.profile import TIME_TYPECODE, Shown, UserProfile
from udfs.users.profile_codec import decode_hashes, decode_profile, encode_hashes, encode_profile

FIXTURES = Path(__file__).parent / "fixtures"


@dataclass(frozen=True)
class Format:
    """One version of one state: what the fixture of that name holds, and who reads and writes it."""

    name: str
    holds: object
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]

    @property
    def stored(self) -> bytes:
        return bytes.fromhex((FIXTURES / f"{self.name}.hex").read_text())


def hashes(*numbers: int) -> "array[int]":
    return array(HASH_TYPECODE, numbers)


PROFILE = UserProfile(
    user_seq=130,
    items=hashes(*map(id_hash, ("1682", "ü", "a" * 40))),
    actions=bytearray([1, 2, 255]),
    times=array(TIME_TYPECODE, [1_700_000_000, 1_700_000_000, 1_699_999_999]),
    seen=hashes(1, -1),
    bought=hashes(2**63 - 1),
    disliked=hashes(-(2**63)),
    event_ids=hashes(7, 8),
    shown={-5: Shown(1.5, 1_700_000_000_000), 2**62: Shown(2.0, 0)},
    forgotten=3,
)
LIST = UserList(
    list_version=129,
    user_seq=130,
    items=["1682", "ü"],
    scores=array("f", [1.0, 0.25]),
    reasons=[ReasonCode.TRENDING, "because of this item"],
)
EXPLORED = replace(
    LIST, reasons=[ReasonCode.EXPLORE, "because of this item"], propensities=array("d", [0.005, 0.9]), renewed_ms=2**41
)
MINUTE_1 = Minute(
    minute=1_700_000_040_000,
    events=5,
    duplicates=1,
    scored=4,
    fallbacks=1,
    batch_sizes=9,
    batch_size_max=3,
    freshness={-1: 1, 70: 3},
    freshness_max_ms=21,
    epoch=1_700_000_000_001,
    revision=2,
    changed=True,
)
MINUTE = replace(MINUTE_1, fallbacks=3, fallback_reasons={"deadline": 1, "shed": 2})
POSITION = LogPosition(
    partition=3, next_offset=70_000, cursor=b"\x93\x01\x02\x03", newest_ms=1_700_000_000_000, epoch=1_700_000_000_001
)

FORMATS = [
    Format("profile-2", PROFILE, decode_profile, encode_profile),
    Format("empty-profile-2", UserProfile(), decode_profile, encode_profile),
    Format("list-1", LIST, decode_list, encode_list),
    Format("list-2", EXPLORED, decode_list, encode_list),
    Format("log-position-1", POSITION, decode_position, encode_position),
    Format("minute-2", MINUTE, decode_minute, encode_minute),
    Format("trends-1", TrendSnapshot(1_700_000_000_000, {"1682": 1.0, "ü": 0.5}), decode_trends, encode_trends),
    Format("trend-sum-1", 1234.5, decode_sum, encode_sum),
    Format("withdrawn-swept-1", hashes(-(2**63), 0, 2**63 - 1), decode_hashes, encode_hashes),
]
NEWEST = tuple(FORMATS)
"""Those that this release writes."""
FORMATS += [
    Format("profile-1", PROFILE, decode_profile, encode_profile),
    Format("empty-profile-1", UserProfile(), decode_profile, encode_profile),
    Format("minute-1", MINUTE_1, decode_minute, encode_minute),
]
STATES = {
    "feedback_minute": "minute",
    "feedback_minutes": "minute",
    "log_position": "log-position",
    "recommendation_list": "list",
    "trend_snapshot": "trends",
    "trend_sum": "trend-sum",
    "user_profile": "profile",
    "withdrawn_swept": "withdrawn-swept",
}
"""Each keyed state of bytes, and the name of its formats."""
each_format = pytest.mark.parametrize("stored", FORMATS, ids=lambda stored: stored.name)


@each_format
def test_stored_state_is_read(stored: Format) -> None:
    assert stored.decode(stored.stored) == stored.holds


@pytest.mark.parametrize("written", NEWEST, ids=lambda written: written.name)
def test_what_this_release_writes_is_frozen(written: Format) -> None:
    assert written.encode(written.holds).hex() == written.stored.hex()


def test_every_fixture_is_tested() -> None:
    assert {file.stem for file in FIXTURES.glob("*.hex")} == {stored.name for stored in FORMATS}


def test_every_state_of_bytes_has_a_format() -> None:
    made = re.compile(r'bytes_(?:map|value)_state\(context, "(\w+)"\)')
    found = {name for file in (PROJECT / "udfs").rglob("*.py") for name in made.findall(file.read_text())}
    assert found == STATES.keys()
    assert set(STATES.values()) == {kind_of(each) for each in NEWEST if not each.name.startswith("empty-")}


@pytest.mark.parametrize("written", NEWEST, ids=lambda written: written.name)
def test_each_version_that_is_read_has_a_fixture(written: Format) -> None:
    fixtures = {each.stored[:1] for each in FORMATS if kind_of(each) == kind_of(written)}
    rest = written.stored[1:]
    assert {version for version in map(bytes, zip(range(256))) if is_read(written, version + rest)} == fixtures


def kind_of(stored: Format) -> str:
    return stored.name.rpartition("-")[0]


def is_read(stored: Format, state: bytes) -> bool:
    """Return whether the version is known, whatever the reader then makes of bytes of another one."""
    try:
        stored.decode(state)
    except StateVersionError:
        return False
    except Exception:
        return True
    return True


@each_format
@pytest.mark.parametrize("version", [b"", b"\x00", b"\x03", b"\xff"])
def test_state_of_an_unknown_version_is_refused(stored: Format, version: bytes) -> None:
    rest = stored.stored[1:] if version else b""
    with pytest.raises(StateVersionError, match=f"state has version {version.hex() or 'nothing'}"):
        stored.decode(version + rest)

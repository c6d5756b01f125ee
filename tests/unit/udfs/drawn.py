"""Records drawn from the parser's own types, up to their bounds, and what it makes of them."""

import json
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import inspect

from model.actions import DEFAULT_ACTIONS
from model.event_time import LATEST_MS
from model.ids import MAX_ID_BYTES
from tests.unit.udfs.default_rules import PARSING
from udfs.elements import LoggedBehavior
from udfs.log import parsing
from udfs.log.parsing import LogRecord, parse

NOW_MS = 1_700_000_000_000
RULES = replace(PARSING, max_ahead_ms=2**63, allowed_lateness_ms=2**63)
"""As wide as settings can make them: what stops a value is the parser's own bound."""

SIGNS = (
    *(chr(code) for code in (*range(0x21), *range(0x7F, 0xA1), 0x2028, 0x2029, 0xFEFF, 0xFFFF, 0x10FFFF)),
    *('"', "'", "\\", "`", "\ud800", "\udfff", "\u2400", "\u241e", "\u241f", "\U0001f600", "[/red]", "null", "{", ","),
)
texts = st.one_of(
    st.text(min_size=1, max_size=5),
    st.lists(st.sampled_from(SIGNS), min_size=1, max_size=4).map("".join),
    st.sampled_from(["x" * MAX_ID_BYTES, "x" * (MAX_ID_BYTES + 1), "é" * (MAX_ID_BYTES // 2), "\U0001f600" * 64, ""]),
)
_PLAUSIBLE = st.integers(10**11, 10**14 - 1)
_EDGES = st.sampled_from([0, 10**14 - 1, 10**14, LATEST_MS, LATEST_MS + 1, -1])


def of_type(kind: inspect.Type) -> st.SearchStrategy[Any]:
    """Values of a field's type, its bounds among them."""
    if isinstance(kind, inspect.UnionType):
        return st.one_of(*map(of_type, kind.types))
    if isinstance(kind, inspect.IntType):
        low, high = kind.ge or 0, kind.le or 0
        return st.sampled_from([low, high, 0]) | st.integers(low, high)
    return {inspect.StrType: texts, inspect.NoneType: st.none()}[type(kind)]


def _mostly_times(others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 3).flatmap(lambda which: _PLAUSIBLE if which else others)


def _fields() -> dict[str, st.SearchStrategy[Any]]:
    struct = inspect.type_info(parsing._Line)
    assert isinstance(struct, inspect.StructType)
    drawn = {field.name: of_type(field.type) for field in struct.fields}
    # Few whole numbers are times, and few texts actions.
    times = {name: _mostly_times(_EDGES | drawn[name]) for name in ("timestamp", "appended_at")}
    return {**drawn, **times, "action": st.sampled_from(sorted(DEFAULT_ACTIONS))}


records: st.SearchStrategy[bytes] = st.builds(
    lambda fields, ascii_only: json.dumps(fields, ensure_ascii=ascii_only).encode(errors="surrogatepass"),
    st.fixed_dictionaries(_fields()),
    st.booleans(),
)


def accepted(raws: list[bytes]) -> list[LoggedBehavior]:
    """What the parser lets through of one partition's records."""
    parsed = (
        parse(LogRecord(2**31 - 1, offset, raw, len(raw)), RULES, newest_ms=0, now_ms=NOW_MS)
        for offset, raw in enumerate(raws)
    )
    return [found for found in parsed if isinstance(found, LoggedBehavior)]


def many(count: int) -> list[bytes]:
    """The same records in every run."""
    found: list[bytes] = []

    @settings(
        max_examples=count, derandomize=True, database=None, suppress_health_check=list(HealthCheck), deadline=None
    )
    @given(records)
    def draw(raw: bytes) -> None:
        found.append(raw)

    draw()
    return found

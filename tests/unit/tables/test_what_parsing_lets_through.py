"""Whatever parsing lets through, every table, reader, topic, element and state takes, and gives back the same."""

import base64
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.tables import duck
from job.tables.compaction import Compactor
from job.tables.formats import Format, Values, chunks
from tests.unit.tables.drawn_rows import ROW_TABLES, all_rows, expected, list_of, write
from tests.unit.tables.rows import CLOSED_MS
from tests.unit.udfs.default_rules import PROFILE, TRENDS
from tests.unit.udfs.drawn import RULES, accepted, many, records, texts
from udfs.elements import PolledElement, TrackedElement, TrendSnapshot, decode_polled, decode_tracked, encode
from udfs.lists.list_codec import decode_list, decode_trends, encode_list, encode_trends
from udfs.log.log_rows import dead_letter_row
from udfs.log.parsing import DeadLetter, LogRecord, parse
from udfs.publishing.publication import dead_letter_record, list_record, newest_lists
from udfs.rows import to_lines
from udfs.trends.trends import Trends
from udfs.users.profile import UserProfile, apply, snapshot
from udfs.users.profile_codec import decode_profile, encode_profile

pytestmark = pytest.mark.heavy


def read(tables_dir: Path, table: str) -> list[dict[str, object]]:
    with duck.stream(tables_dir, f"SELECT * FROM {table}_all ORDER BY log_offset") as answer:
        found = b"".join(chunks(answer, Format.JSONL, Values()))
        assert answer.warnings() == ()
    rows = [msgspec.json.decode(line, type=dict[str, object]) for line in found.decode().split("\n")[:-1]]
    times = [row.pop("event_time") for row in rows]
    assert all((time is None) == (row["timestamp"] is None) for time, row in zip(times, rows, strict=True))
    return rows


@settings(max_examples=8, deadline=None)
@given(raws=st.lists(records, min_size=1, max_size=40))
def test_every_table_gives_back_what_was_written_before_and_after_compaction(
    raws: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    tables_dir, rows = tmp_path_factory.mktemp("tables"), all_rows(raws)
    write(tables_dir, rows)
    for _ in ("before", "after"):
        for table in ROW_TABLES:
            assert read(tables_dir, table) == expected(rows[table])
        Compactor(tables_dir).run_once(CLOSED_MS)


def test_most_of_what_is_drawn_is_let_through_and_some_is_not() -> None:
    raws = many(200)
    assert 60 < len(accepted(raws)) < 200


@given(raws=st.lists(records, max_size=10))
def test_elements_carry_it(raws: list[bytes]) -> None:
    behaviors = accepted(raws)
    assert decode_polled(encode(PolledElement(1, behaviors))).behaviors == behaviors


@given(raws=st.lists(records, max_size=20))
def test_profiles_and_their_state_take_it(raws: list[bytes]) -> None:
    profile, rules = UserProfile(), replace(PROFILE, history_block=2, shown_limit=3)
    for behavior in accepted(raws):
        apply(profile, behavior, rules)
        tracked = TrackedElement(1, 0, [snapshot(profile, behavior, rules)])
        assert decode_tracked(encode(tracked)) == tracked
        assert decode_profile(encode_profile(profile)) == profile


@given(raws=st.lists(records, max_size=20))
def test_trends_and_their_state_take_it(raws: list[bytes]) -> None:
    trends = Trends()
    for behavior in accepted(raws):
        trends.add(behavior.item_id, 1.0, behavior.timestamp, TRENDS)
    told = TrendSnapshot(1, trends.strongest(10))
    assert decode_trends(encode_trends(told)) == told
    assert all(0 <= strength <= 1 for strength in told.strengths.values())


@given(raws=st.lists(records, max_size=10))
def test_topics_and_list_state_take_it(raws: list[bytes]) -> None:
    published = [list_record(line) for line in all_rows(raws)["recommendation_lists"]]
    for record, behavior in zip(published, accepted(raws), strict=True):
        assert (record.key or b"").decode() == behavior.user_id
        assert newest_lists([record.value])[behavior.user_id].items == [behavior.item_id] * 2
    for behavior in accepted(raws):
        made = list_of(behavior)
        assert decode_list(encode_list(made)) == made


@given(raw=records | st.binary(max_size=50) | texts.map(lambda text: text.encode(errors="surrogatepass")))
def test_a_topic_of_dead_letters_takes_the_others(raw: bytes) -> None:
    found = parse(LogRecord(0, 2**63 - 1, raw, len(raw)), RULES, newest_ms=0, now_ms=0)
    if isinstance(found, DeadLetter):
        row = to_lines([dead_letter_row(found, now_ms=2, epoch=1)])
        record = dead_letter_record(row)
        assert record.value == raw == base64.b64decode(msgspec.json.decode(row)["raw_base64"])
        assert all(value.decode() for _, value in record.headers)

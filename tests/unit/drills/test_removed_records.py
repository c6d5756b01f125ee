"""Records that a fault removes before they are read: each is named by a dead letter, or the drill fails."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from job.drills.collect import offsets_gone, read_output
from job.drills.errors import DrillError
from job.drills.evidence import Expectation, Output
from job.drills.run_log import NO_RECORD
from job.drills.verdict import Case, Judged, judge
from tests.unit.drills.outputs import PLANTED, good_output, good_recovery, with_list
from tests.unit.tables.rows import HOUR, commit
from udfs.publishing.publication import PublishedList

LOSES = Expectation(loses=True)
GOOD = good_output()
TAIL = frozenset({(0, 5), (0, 6)})
"""The last two records of the good output, both of user u2."""
LEFT = replace(
    GOOD,
    behaviors=tuple(row for row in GOOD.behaviors if row.at not in TAIL),
    lists=GOOD.lists[:3],
    latest=GOOD.latest[:1],
    gone=TAIL,
)
"""What a job makes that cannot read these two; a list of u2's is published, of an attempt that could."""


def judged(output: Output, expected: Expectation = LOSES) -> Judged:
    case = Case(name="gone", output=output, control=GOOD, planted=PLANTED, recovery=good_recovery(), expected=expected)
    return judge(case)


def broken(output: Output, expected: Expectation = LOSES) -> set[str]:
    return {name for name, found in judged(output, expected).findings.items() if found.holds is False}


def test_records_that_are_named_as_gone_are_not_lost_and_their_users_are_not_compared() -> None:
    found = judged(LEFT)
    assert found.ok, found.findings
    assert (found.lost, found.doubled, found.wrong_lists) == (0, 0, 0)


def test_records_may_be_gone_only_where_the_fault_removes_some() -> None:
    assert {"I1", "I3", "I8"} <= broken(LEFT, Expectation())
    assert judged(LEFT, Expectation()).lost == 2


@pytest.mark.parametrize(
    ("output", "question"),
    [
        (replace(LEFT, gone=frozenset({(0, 5)})), "I1"),
        (replace(LEFT, gone=TAIL | {(0, 0)}), "I1"),
        (replace(LEFT, gone=TAIL | {(0, 9)}), "I1"),
        (replace(LEFT, gone=TAIL | {(0, NO_RECORD)}), "I1"),
        (with_list(LEFT, 2, items=("b", "d", "x")), "I3"),
        (replace(LEFT, published={**LEFT.published, "u1": PublishedList("u1", 1, 2, ["b"])}), "I8"),
    ],
    ids=[
        "skipped without a word",
        "named, but applied",
        "beyond the log",
        "no record",
        "another user's list",
        "another user's publication",
    ],
)
def test_it_fails_on(output: Output, question: str) -> None:
    assert question in broken(output)


def letter(offset: int, reason: str, detail: str) -> dict[str, object]:
    place = {"log_partition": 1, "log_offset": offset, "reason": reason, "detail": detail, "raw_base64": ""}
    return place | {"raw_bytes": 0, "truncated": False, "timestamp": None, "written_at": 5, "epoch": 1}


def test_what_dead_letters_name_as_gone_is_read_and_numbered(tmp_path: Path) -> None:
    detail = "topic t, partition 1: offsets 12 to 15 were removed unread"
    commit(
        tmp_path / "dead_letters" / HOUR, "part-a-0", [letter(12, "offsets_gone", detail), letter(3, "late", "1 ms")]
    )
    output = read_output({0: 0, 1: 20}, tmp_path)
    assert output.gone == {(1, 12), (1, 13), (1, 14), (1, 15)}
    assert [row.at for row in output.letters] == [(1, 3)]
    assert offsets_gone(tmp_path) == 3
    numbers = {12: 10, 13: 11}
    numbered = output.numbered(lambda _, offset: numbers.get(offset, NO_RECORD))
    assert numbered.gone == {(1, 10), (1, 11), (1, NO_RECORD)}


def test_a_letter_that_names_no_offsets_is_no_evidence(tmp_path: Path) -> None:
    commit(tmp_path / "dead_letters" / HOUR, "part-a-0", [letter(12, "offsets_gone", "some")])
    with pytest.raises(DrillError, match="does not name the offsets"):
        read_output({1: 20}, tmp_path)


def test_rows_are_numbered_as_the_records_of_the_log_are() -> None:
    shifted = GOOD.numbered(lambda _, offset: offset + 100)
    assert [row.offset for row in shifted.behaviors] == [row.offset + 100 for row in GOOD.behaviors]
    assert shifted.numbered(lambda _, offset: offset - 100) == GOOD
    assert json.dumps(judged(shifted).to_json())
    assert judged(shifted).lost > 0

"""What a user is told of a data set: each thing that was decided for him, and nothing where nothing was."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from model.datasets.action_map import ActionMap, parse_action_map
from model.datasets.errors import SourceError
from model.datasets.log_rules import LogRules
from model.datasets.prepare import Request, prepare
from model.datasets.prepared import Dataset, DatasetInfo
from model.datasets.reading import PLAIN, BehaviorMaker, Format, Raw, ReadReport
from model.datasets.remarks import Findings
from model.datasets.sources import SOURCES
from model.event_time import EventTimes, Unit

NOW_MS = 1_800_000_000_000
S = 1_700_000_000


def rows(count: int, at: Callable[[int], object], action: Callable[[int], str] = lambda _: "click") -> str:
    return "\n".join(
        json.dumps({"user_id": f"u{n % 3}", "action": action(n), "item_id": f"i{n}", "timestamp": at(n)})
        for n in range(count)
    )


def prepared(folder: Path, content: str, actions: str = "", form: Format = PLAIN, source: str = "jsonl") -> DatasetInfo:
    path = folder / "rows"
    path.write_text(content)
    mapping = parse_action_map(actions, SOURCES[source].actions)
    return prepare(Request("mine", source, path, mapping, form), folder / "set", now_ms=NOW_MS).dataset.info


def test_nothing_is_said_where_nothing_was_decided(tmp_path: Path) -> None:
    info = prepared(tmp_path, rows(9, lambda n: (S + n) * 1000))
    assert info.remarks == ()
    assert info.counted == {"lines": 9, "headers": 0, "blank": 0, "continued": 0, "rows": 9}


@pytest.mark.parametrize("unit", [Unit.SECONDS, Unit.MICROSECONDS, Unit.NANOSECONDS])
def test_another_unit_than_the_promised_one_is_told(unit: Unit, tmp_path: Path) -> None:
    info = prepared(tmp_path, rows(9, lambda n: (S + n) * unit.value))
    assert (info.first_timestamp, info.last_timestamp) == (S * 1000, (S + 8) * 1000)
    assert [f"9 in {unit.name.lower()}" in remark for remark in info.remarks] == [True]


def test_several_units_are_told_with_their_counts(tmp_path: Path) -> None:
    info = prepared(tmp_path, rows(9, lambda n: (S + n) * (1 if n < 4 else 1000)))
    assert info.last_timestamp == (S + 8) * 1000
    assert "4 in seconds and 5 in milliseconds" in info.remarks[0]


def test_a_given_unit_is_taken_and_doubted(tmp_path: Path) -> None:
    info = prepared(tmp_path, rows(9, lambda n: S + n), form=Format(time_unit=Unit.MILLISECONDS))
    assert info.last_timestamp == S + 8
    assert "9 times look like seconds" in info.remarks[0]


def test_times_of_no_plausible_unit_are_told(tmp_path: Path) -> None:
    info = prepared(tmp_path, rows(9, lambda n: n))
    assert "9 times are not of 1973" in info.remarks[0]


def test_a_month_that_is_taken_to_stand_first_is_told(tmp_path: Path) -> None:
    info = prepared(tmp_path, rows(9, lambda n: f"0{n + 1}/02/2023 10:00"))
    assert "9 times were read as month/day/year" in info.remarks[0]


@pytest.mark.parametrize(
    ("dates", "refused"),
    [
        (["05/11/2023"] * 9 + ["25/11/2023"], True),
        (["25/11/2023"] + ["05/11/2023"] * 9, True),
        (["5/11/2023", "11/25/2023", "25/11/2023", "11/26/2023"], True),
        (["05/11/2023"] * 9, False),
        (["11/11/2023"] * 9 + ["25/11/2023"], False),  # either way the eleventh of November
        (["11/25/2023"] * 9 + ["25/11/2023"], False),
        (["05/11/2023"] * 9 + ["25/13/2023"], False),  # no date at all
    ],
)
def test_dates_are_not_read_against_the_evidence(dates: list[str], refused: bool, tmp_path: Path) -> None:
    content = rows(len(dates), lambda n: f"{dates[n]} 10:00")
    if not refused:
        assert prepared(tmp_path, content).behaviors >= len(dates) - 1
        return
    with pytest.raises(SourceError, match=r"rows: 1 times can only be day/month/year.* ISO 8601"):
        prepared(tmp_path, content)
    assert not (tmp_path / "set").exists()


def test_rules_that_match_nothing_are_told_with_the_words_there_are(tmp_path: Path) -> None:
    info = prepared(tmp_path, rows(9, lambda n: S * 1000, lambda n: "click" if n else "view"), "clik=click,all=view")
    assert "'clik'" in info.remarks[0]
    assert "click (8), view (1)" in info.remarks[0]


def test_words_without_a_rule_are_told_with_a_rule_to_write(tmp_path: Path) -> None:
    info = prepared(tmp_path, rows(9, lambda n: S * 1000, lambda n: "click" if n else "addtocart"))
    assert "--actions addtocart=click" in info.remarks[0]


@given(st.sets(st.text("a1.,='\"$ -*\\\t\u00e9", max_size=4), min_size=1, max_size=3))
@example({""})
@example({"'click'"})
@example({"a,b"})
@example({"0.12345678", "1234567"})
def test_advised_rules_can_be_given_and_name_a_word(words: set[str]) -> None:
    report, actions = ReadReport(), ActionMap({})
    maker = BehaviorMaker(actions, EventTimes())
    for word in words:
        assert maker.make(Raw(user_id="u", item_id="i", action=word, time=S), report) is None
    findings = Findings(report, ReadReport(), maker.times, actions, LogRules(), late=0, is_log=False)
    remarks = findings.remarks()
    assert remarks
    for remark in remarks:
        _, option, advice = remark.partition(" --actions ")
        if option:
            rules = parse_action_map(shlex.split(advice)[0].rstrip("."), actions)
            assert any(rules(word) for word in report.words)


def test_a_scale_of_ten_is_told_with_its_rules_and_they_work(tmp_path: Path) -> None:
    content = "userId,movieId,rating,timestamp\n" + "".join(f"1,{n},{n}.0,{S}\n" for n in range(1, 11))
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n1,A,B\n")
    (tmp_path / "ratings.csv").write_text(content)
    source = SOURCES["movielens"]
    request = Request("mine", "movielens", tmp_path, source.actions)
    info = prepare(request, tmp_path / "set", now_ms=NOW_MS).dataset.info
    assert info.skipped.keys() == {f"rating '{n}' is not mapped" for n in range(6, 11)}
    rules = info.remarks[0].split("--actions ")[1]
    request = Request("mine", "movielens", tmp_path, parse_action_map(rules, source.actions))
    dataset = prepare(request, tmp_path / "set", now_ms=NOW_MS).dataset
    assert (dataset.info.behaviors, dataset.info.remarks) == (10, ())
    assert [b.item_id for b in dataset.behaviors() if b.action == "favorite"] == ["8", "9", "10"]


def test_lost_rows_of_a_catalogue_are_told(tmp_path: Path) -> None:
    (tmp_path / "movies.csv").write_text("movieId,title,genres\n1,A,B\n2,too,many,cells\n")
    (tmp_path / "ratings.csv").write_text(f"userId,movieId,rating,timestamp\n1,1,5,{S}\n")
    request = Request("mine", "movielens", tmp_path, SOURCES["movielens"].actions)
    info = prepare(request, tmp_path / "set", now_ms=NOW_MS).dataset.info
    assert "1 of 2 rows of the catalogue" in info.remarks[0]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("user_id,item_id,action,timestamp\nu,i,click,1700000000\n", "prepare csv"),
        ('{\n"user_id": "u",\n"action": "click"\n}', "no JSON"),
        (rows(9, lambda n: S * 1000, lambda n: "look"), "--actions look=click"),
        (rows(9, lambda n: S * 1000 if n < 4 else NOW_MS + 10**9), "impossible"),
        (rows(9, lambda n: "soon" if n else S * 1000), "neither a number nor ISO 8601"),
    ],
)
def test_a_source_of_mostly_bad_rows_is_refused_and_says_why(content: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=message):
        prepared(tmp_path, content)
    assert not (tmp_path / "set").exists()


def test_a_refused_source_leaves_the_set_that_was_there(tmp_path: Path) -> None:
    prepared(tmp_path, rows(9, lambda n: S * 1000))
    with pytest.raises(SourceError):
        prepared(tmp_path, "{}\n" * 10 + rows(9, lambda n: S * 1000))
    assert Dataset.open(tmp_path / "set").info.behaviors == 9


def test_rows_that_are_left_out_on_purpose_are_not_bad(tmp_path: Path) -> None:
    content = rows(9, lambda n: S * 1000, lambda n: "click" if n == 0 else "view")
    info = prepared(tmp_path, content, "view=skip")
    assert (info.behaviors, info.skipped) == (1, {"action 'view' is left out by its rule": 8})

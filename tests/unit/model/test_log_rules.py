"""A log means the same to training as to the job: the same behaviours are applied, and the others are counted."""

import json
from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.actions import DEFAULT_ACTIONS, Action, ActionTable, Kind, history_actions
from model.datasets.action_map import identity_map
from model.datasets.interactions import load_interactions
from model.datasets.log_rules import IMPOSSIBLE, LATE, REPEATED, LogRules
from model.datasets.prepare import Request, prepare
from model.datasets.prepared import Dataset
from model.datasets.reading import ReadReport
from model.event_time import LATEST_MS
from model.records import UserBehavior
from tests.unit.udfs.default_rules import PARSING, PROFILE
from udfs.elements import LoggedBehavior
from udfs.log.parsing import DeadLetter, LogRecord, newest_after, parse
from udfs.users.profile import Applied, UserProfile, apply

NOW_MS = 1_700_000_000_000
DAY_MS = 86_400_000
OWN: ActionTable = type(DEFAULT_ACTIONS)({**DEFAULT_ACTIONS, "wishlist": Action(33, Kind.POSITIVE, 2.0, DAY_MS / 1000)})
FIELDS = [field.name for field in fields(UserBehavior)]
LIMIT = 3
"""So few event ids are known here that some are forgotten."""

ids = st.sampled_from(["a", "b", 7, "7", 7.0, 1.5, "", "x" * 257, "é" * 128, True, 10**30])
names = st.sampled_from([*"pqrstuv", 7, 7.0, "7.0", 1.5, 10**30, 1e30, True, None, "", "x" * 257])
records = st.fixed_dictionaries(
    {
        "user_id": ids,
        "action": st.sampled_from([*OWN, "gaze"]),
        "item_id": ids | st.sampled_from(["i", "j", "k"]),
        "timestamp": st.integers(-9, 9).map(lambda days: NOW_MS + days * DAY_MS // 3)
        | st.sampled_from([-1, NOW_MS * 2]),
    },
    optional={
        "event_id": names,
        "request_id": names,
        "position": st.sampled_from([0, 9, 1.0, 1.5, True, None, "1", -(2**31), 2**31, 10**30]),
        "appended_at": st.sampled_from(
            [NOW_MS, NOW_MS - 3 * DAY_MS, NOW_MS * 2, LATEST_MS, LATEST_MS + 1, 2**62, 10**30, 0, -1, 1.0, None, "1"]
        ),
    },
)
written = st.builds(
    lambda record, space: json.dumps(record, separators=("," + space, ":" + space)).encode() + space.encode(),
    records,
    st.sampled_from(["", " ", "\r", "\t\r"]),
)
logs = st.lists(written, min_size=1, max_size=40)


def applied_by_the_job(lines: list[bytes]) -> list[LoggedBehavior]:
    """In the order of the log."""
    parsing, rules = replace(PARSING, actions=OWN), replace(PROFILE, actions=OWN, event_ids_limit=LIMIT)
    profiles: dict[str, UserProfile] = {}
    applied, newest_ms = [], 0
    for offset, line in enumerate(lines):
        parsed = parse(LogRecord(0, offset, line, len(line)), parsing, newest_ms=newest_ms, now_ms=NOW_MS)
        if isinstance(parsed, DeadLetter):
            continue
        newest_ms = newest_after(newest_ms, parsed)
        if apply(profiles.setdefault(parsed.user_id, UserProfile()), parsed, rules) is Applied.YES:
            applied.append(parsed)
    return applied


def prepared(folder: Path, lines: list[bytes], rules: LogRules, table: ActionTable = OWN) -> tuple[Dataset, ReadReport]:
    path = folder / "log.jsonl"
    path.write_bytes(b"\n".join(lines))
    request = Request("log", "jsonl", path, identity_map(table), table=table, log=rules, least_usable=0)
    outcome = prepare(request, folder / "set", now_ms=NOW_MS)
    assert outcome.report is not None
    return outcome.dataset, outcome.report


@settings(max_examples=80, deadline=None)
@given(logs)
def test_training_sees_what_the_job_applies(lines: list[bytes]) -> None:
    expected = sorted(applied_by_the_job(lines), key=lambda b: b.timestamp)
    if not expected:
        return
    with TemporaryDirectory() as folder:
        dataset, report = prepared(Path(folder), lines, LogRules(event_ids_limit=LIMIT, drop_late=True))
        found = list(dataset.behaviors())
    assert found == [UserBehavior(*(getattr(behavior, name) for name in FIELDS)) for behavior in expected]
    assert report.rows == len(lines) == len(found) + report.skipped.total()


def test_the_histories_of_training_are_those_of_the_job(tmp_path: Path) -> None:
    acts = ["click", "buy", "return", "dislike", "wishlist", "impression", "view", "buy"]
    lines = [
        msgspec.json.encode(
            {"user_id": f"u{n % 2}", "action": acts[n // 2 % 8], "item_id": f"i{n % 5}", "timestamp": NOW_MS - 1000 + n}
        )
        for n in range(32)
    ]
    dataset, _ = prepared(tmp_path, lines, LogRules())
    log = load_interactions(dataset)
    rules = replace(PROFILE, actions=OWN)
    for user in (0, 1):
        profile = UserProfile()
        for behavior in applied_by_the_job(lines):
            if behavior.user_id == f"u{user}":
                apply(profile, behavior, rules)
        rows = (log.user == user) & log.in_history
        names = {action.code: name for name, action in OWN.items()}
        kept = [names[code] for code in profile.actions]
        assert set(kept) <= history_actions(OWN)
        assert [OWN[name].weight for name in kept] == log.weight[rows].tolist()


def test_one_event_sent_forty_times_is_one_behaviour(tmp_path: Path) -> None:
    event = {"user_id": "u", "action": "click", "item_id": "hot", "timestamp": NOW_MS, "event_id": "e"}
    other = {**event, "item_id": "cold", "event_id": "f"}
    dataset, report = prepared(tmp_path, [msgspec.json.encode(row) for row in (*[event] * 40, other)], LogRules())
    assert dataset.info.behaviors == 2
    assert report.skipped == {REPEATED: 39}
    assert load_interactions(dataset).counts().tolist() == [0, 1, 1]


def test_a_set_that_was_written_with_repeated_events_counts_them_once(tmp_path: Path) -> None:
    dataset, _ = prepared(
        tmp_path, [b'{"user_id":"u","action":"click","item_id":"i","timestamp":1699999999999}'], LogRules()
    )
    line = b'{"user_id":"u","action":"click","item_id":"i","timestamp":1699999999999,"event_id":"e"}\n'
    dataset.behaviors_path.write_bytes(line * 5)
    dataset = replace(dataset, info=replace(dataset.info, behaviors=5))
    assert len(load_interactions(dataset)) == 1


def row(day: float, **more: object) -> bytes:
    return msgspec.json.encode(
        {"user_id": "u", "action": "click", "item_id": "i", "timestamp": NOW_MS + int(day * DAY_MS), **more}
    )


def test_late_rows_are_kept_and_told_and_left_out_of_a_log(tmp_path: Path) -> None:
    lines = [row(-1), row(-9), row(-2)]
    dataset, report = prepared(tmp_path, lines, LogRules())
    assert (dataset.info.behaviors, report.skipped.total()) == (3, 0)
    assert any("--as-log" in remark for remark in dataset.info.remarks)
    dataset, report = prepared(tmp_path, lines, LogRules(drop_late=True))
    assert (dataset.info.behaviors, dict(report.skipped)) == (2, {LATE: 1})


@pytest.mark.parametrize(("day", "rules"), [(1.5, LogRules()), (-3, LogRules(earliest_ms=NOW_MS - 2 * DAY_MS))])
def test_impossible_times_are_left_out(day: float, rules: LogRules, tmp_path: Path) -> None:
    dataset, report = prepared(tmp_path, [row(-1), row(day)], rules)
    assert (dataset.info.behaviors, dict(report.skipped)) == (1, {IMPOSSIBLE: 1})


def test_a_row_is_judged_by_the_time_of_its_appending(tmp_path: Path) -> None:
    day_ms = DAY_MS
    lines = [
        row(-20, appended_at=NOW_MS - 20 * day_ms),
        row(-18, appended_at=NOW_MS - 20 * day_ms),  # two days ahead of its appending
        row(-12.5, appended_at=NOW_MS - 13 * day_ms),  # half a day ahead: 13 days ago is the newest from here
        row(-20, appended_at=NOW_MS - 13 * day_ms),
        row(-20.2, appended_at=NOW_MS - 13 * day_ms),
    ]
    dataset, report = prepared(tmp_path, lines, LogRules(drop_late=True))
    assert (dataset.info.behaviors, dict(report.skipped)) == (3, {IMPOSSIBLE: 1, LATE: 1})


def test_actions_of_ones_own_are_those_of_the_set(tmp_path: Path) -> None:
    dataset, _ = prepared(tmp_path, [row(-1, action="wishlist")], LogRules())
    assert Dataset.open(dataset.path).action_table == OWN
    log = load_interactions(dataset)
    assert (log.weight.tolist(), log.in_history.tolist()) == ([2.0], [True])

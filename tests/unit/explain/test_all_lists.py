"""Every list of a job is made again from the log and the rows; one that was changed is found."""

import json
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from job.drills.collect import with_made_again
from job.drills.evidence import Output
from job.explain.all_lists import recomputed_lists
from job.explain.inputs import Deployments
from job.explain.records import ExplainError
from job.replay.log_writer import LogWriter
from job.settings.groups import ListSettings, LogSettings, TableSettings
from job.settings.job_settings import JobSettings
from job.settings.planned_job import JobPlan, PlannedJob
from job.topology.rules import action_table, list_rules, parsing_rules, profile_rules
from model.records import UserBehavior
from tests.unit.tables.rows import HOUR, commit
from udfs.attempt import EPOCHS_A_DEPLOYMENT
from udfs.elements import LoggedBehavior, with_candidates
from udfs.lists.list_rows import recommendation_list_row
from udfs.lists.list_rules import Fallbacks, Policy
from udfs.lists.user_list import UserList, update
from udfs.log.file_log import FileLogReader
from udfs.log.parsing import LogRecord, parse
from udfs.users.behavior_row import user_behavior_row
from udfs.users.profile import UserProfile, apply, snapshot

USERS, BEHAVIORS = 3, 40
EPOCH = EPOCHS_A_DEPLOYMENT + 1


class OnlyDeployment(Deployments):
    """A history of one deployment."""

    def __init__(self, job: PlannedJob) -> None:
        self._read, self._files, self._rules, self._models = {1: job}, {1: Path()}, {}, {}


class Made:
    """A log, and the tables that a job without a model makes of it."""

    def __init__(self, folder: Path) -> None:
        self.tables = folder / "tables"
        self.settings = JobSettings(
            log=LogSettings(folder=folder / "log", partitions=1),
            lists=ListSettings(policy="history"),
            tables=TableSettings(folder=self.tables),
        )
        self.deployments = OnlyDeployment(PlannedJob(self.settings, JobPlan(number=1)))
        with LogWriter(folder / "log", 1) as writer:
            writer.append(
                UserBehavior(f"u{n % USERS}", "click", f"i{n * 7 % 11}", 1_700_000_000_000 + n * 1_000)
                for n in range(BEHAVIORS)
            )
        with closing(FileLogReader(folder / "log")) as log:
            self.behaviors, self.lists = self._made(log.poll(0, 0, b"", 1_000).records)

    def _made(self, records: Sequence[LogRecord]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        actions = action_table(self.settings)
        profiles, lists = dict[str, UserProfile](), dict[str, UserList]()
        behavior_rows, list_rows = [], []
        for record in records:
            behavior = parse(record, parsing_rules(self.settings, actions), newest_ms=0, now_ms=2**53)
            assert isinstance(behavior, LoggedBehavior)
            user, rules = behavior.user_id, profile_rules(self.settings, actions)
            profile = profiles.setdefault(user, UserProfile())
            apply(profile, behavior, rules)
            tracked = snapshot(profile, behavior, rules)
            scored = with_candidates(tracked, None)
            lists[user] = update(lists.get(user, UserList()), scored, list_rules(self.settings, actions), Fallbacks())
            now_ms = behavior.log_offset
            behavior_rows.append(_json(user_behavior_row(behavior, tracked.user_seq, now_ms=now_ms, epoch=EPOCH)))
            row = recommendation_list_row(
                lists[user], scored, Policy.HISTORY, model=None, trend_snapshot=None, now_ms=now_ms, epoch=EPOCH
            )
            list_rows.append(_json(row))
        return behavior_rows, list_rows

    def commit(self) -> None:
        commit(self.tables / "user_behavior" / HOUR, "part-1", self.behaviors)
        commit(self.tables / "recommendation_lists" / HOUR, "part-1", self.lists)

    def again(self) -> list[tuple[int, tuple[str, ...]]]:
        found = recomputed_lists(self.tables, self.deployments, lambda _: True)
        return [(made.log_offset, differences) for made, differences in found]


def _json(row: msgspec.Struct) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(msgspec.json.encode(row))
    return found


@pytest.fixture
def made(tmp_path: Path) -> Made:
    return Made(tmp_path)


def test_all_lists_are_equal_to_what_they_were_made_from(made: Made) -> None:
    made.commit()
    again = made.again()
    assert sorted(offset for offset, _ in again) == list(range(BEHAVIORS))
    assert [differences for _, differences in again if differences] == []


def without_its_last(row: dict[str, Any]) -> None:
    for column in ("items", "scores", "reasons"):
        row[column] = row[column][:-1]


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "another item": lambda row: row["items"].__setitem__(0, "i99"),
    "an item less": without_its_last,
    "another score": lambda row: row["scores"].__setitem__(0, row["scores"][0] + 0.5),
    "another reason": lambda row: row["reasons"].__setitem__(0, "popular"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_row_is_found(made: Made, change: Callable[[dict[str, Any]], None]) -> None:
    change(made.lists[-1])
    made.commit()
    assert [offset for offset, differences in made.again() if differences] == [BEHAVIORS - 1]


def test_a_record_of_the_log_that_is_another_one_is_found(made: Made) -> None:
    made.commit()
    file = next((made.settings.log.folder).glob("partition-*"))
    file.write_bytes(file.read_bytes().replace(b'"i7"', b'"i8"', 1))
    assert [differences for _, differences in made.again() if differences]


def test_a_missing_behavior_is_said(made: Made) -> None:
    del made.behaviors[0]
    made.commit()
    with pytest.raises(ExplainError, match="hold"):
        made.again()


def test_a_drill_judges_the_lists_without_scores(made: Made) -> None:
    made.lists[5]["items"][0] = "i99"
    made.commit()
    output = with_made_again(Output({}, (), (), (), ()), made.tables, made.deployments)
    assert output.made_again == BEHAVIORS
    assert output.unequal
    assert output.unequal[0].startswith(f"list {made.lists[5]['list_version']} of user {made.lists[5]['user_id']}: ")

"""After any fall-back the views hold what the last line of attempts made, and nothing else."""

from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.tables import duck
from job.tables.errors import TablesError
from tests.unit.tables.rows import HOUR, behavior, commit, letter, made_list, minute, prediction
from udfs.attempt import attempt_epoch

pytestmark = pytest.mark.heavy
PARTITIONS = 2
USERS = 3
"""In each partition, in turns."""
HOUR_MS = 3_600_000
NOW_MS = 1_800_000_000_000
Rows = dict[str, list[dict[str, Any]]]
TABLES = ("user_behavior", "dead_letters", "recommendation_lists", "prediction_results", "feedback_metrics")


def no_rows() -> Rows:
    return {name: [] for name in TABLES}


@dataclass
class State:
    """What a checkpoint holds, and all rows that were ever made on the way to it."""

    offsets: list[int] = field(default_factory=lambda: [0] * PARTITIONS)
    epochs: list[int | None] = field(default_factory=lambda: [None] * PARTITIONS)
    versions: dict[str, int] = field(default_factory=dict)
    minutes: dict[int, tuple[int, int]] = field(default_factory=dict)
    """What measure-feedback keeps: of a minute the row's revision and the events."""
    rows: int = 0
    made: Rows = field(default_factory=no_rows)


@dataclass(frozen=True)
class Checkpoint:
    number: int
    state: State


class Job:
    """Reads two partitions, and writes as Flink does: what a checkpoint completed stays, everything else is gone."""

    def __init__(self, folder: Path, draw: st.DataObject) -> None:
        self.folder, self.draw = folder, draw
        self.deployment = self.generation = self.files = 0
        self.all: list[Checkpoint] = []
        self.own: Checkpoint | None = None
        self.deploy(None)

    def deploy(self, checkpoint: Checkpoint | None, *, fresh: bool = False) -> None:
        """From any checkpoint there ever was; checkpoints are numbered on from it."""
        self.deployment += self.draw.draw(st.integers(1, 2))
        self.generation += fresh
        self.own = checkpoint
        self.restore()

    def restore(self) -> None:
        """A new attempt, from the newest checkpoint of the job; what was not committed is gone."""
        self.state = deepcopy(self.own.state) if self.own else State()
        self.pending: dict[str, list[dict[str, Any]]] = {**no_rows(), "attempts": []}
        # Any clock: it went wrong by hours, or stood still.
        self.clock = NOW_MS + self.draw.draw(st.sampled_from([0, -2 * HOUR_MS, 2 * HOUR_MS]))
        self.taste = self.draw.draw(st.integers(0, 3))
        restored = self.own.number if self.own else None
        for partition, parent in enumerate(self.state.epochs):
            epoch = attempt_epoch(self.deployment, restored, parent)
            self.pending["attempts"].append(
                {
                    "log_partition": partition,
                    "first_offset": self.state.offsets[partition],
                    "parent_epoch": parent,
                    "generation": self.generation,
                    "written_at": self.clock,
                    "epoch": epoch,
                }
            )
            self.state.epochs[partition] = epoch
        assert len(set(self.state.epochs)) == 1, "all partitions have the same epoch"

    def checkpoint(self) -> None:
        """Commits, and can be restored from now on."""
        self.own = Checkpoint(1 + (self.own.number if self.own else 0), deepcopy(self.state))
        self.all.append(self.own)
        self.files += 1
        for table, rows in self.pending.items():
            if rows:
                commit(self.folder / table / HOUR, f"part-{self.files}-0", rows)
        self.pending = {**no_rows(), "attempts": []}

    def read(self, partition: int, records: int) -> None:
        for _ in range(records):
            self.read_one(partition)

    def read_one(self, partition: int) -> None:
        """What becomes of a record depends on the attempt's settings: `taste`."""
        offset = self.state.offsets[partition]
        self.state.offsets[partition] += 1
        user = f"{partition}-{offset % USERS}"
        place = {"log_partition": partition, "log_offset": offset, "written_at": self.clock}
        stamp = {**place, "epoch": self.state.epochs[partition]}
        if (offset + self.taste) % 4 == 0:
            self.write("dead_letters", {**stamp, "reason": f"taste {self.taste}", "raw_bytes": 1, "truncated": False})
            return
        version = self.state.versions[user] = self.state.versions.get(user, 0) + 1
        about = {"user_id": user, "user_seq": version, "item_id": f"i{self.taste}", "action": "click"}
        self.write("user_behavior", {**stamp, **about, "timestamp": 1, "outcome": "applied"})
        self.write("recommendation_lists", {**made_list(version, [f"i{self.taste}"], user=user), **about, **stamp})
        for rank in range(self.taste):  # a model's answer is as long as the settings say; without one it is empty
            predicted = {"rank": rank, "score": 1.0, "model_hash": f"m{self.taste}", "timestamp": 1}
            self.write("prediction_results", {**stamp, **about, **predicted})

    def measure(self, number: int, events: int) -> None:
        """A row of one of the minutes, which come in any order of a clock that steps."""
        state = self.state
        revision, before = state.minutes.get(number, (0, 0))
        state.minutes[number], state.rows = (revision + 1, before + events), state.rows + 1
        row = minute(int(str(state.epochs[0])), revision + 1, before + events)
        self.write("feedback_metrics", {**row, "minute": number * 60_000, "number": state.rows})

    def write(self, table: str, row: dict[str, Any]) -> None:
        self.pending[table].append(row)
        self.state.made[table].append(row)


COLUMNS = {
    "user_behavior": "log_partition, log_offset, item_id, user_seq, epoch",
    "dead_letters": "log_partition, log_offset, reason, epoch",
    "recommendation_lists": "user_id, list_version, items, log_partition, log_offset, epoch",
    "prediction_results": "user_id, user_seq, rank, model_hash, log_partition, log_offset, epoch",
}


def shown(folder: Path) -> dict[str, list[tuple[object, ...]]]:
    with duck.connect(folder) as connection:

        def rows(sql: str) -> list[tuple[object, ...]]:
            return sorted(duck.run(connection, sql).rows, key=repr)

        return {table: rows(f"SELECT {names} FROM {table}") for table, names in COLUMNS.items()} | {
            "latest": rows("SELECT user_id, items FROM latest_recommendation_lists"),
            "minutes": rows("SELECT minute, events FROM feedback_metrics"),
        }


def truth(state: State) -> dict[str, list[tuple[object, ...]]]:
    latest = {row["user_id"]: row["items"] for row in state.made["recommendation_lists"]}
    measured = {row["minute"]: row["events"] for row in state.made["feedback_metrics"]}
    return {
        table: sorted((tuple(row[name] for name in names.split(", ")) for row in state.made[table]), key=repr)
        for table, names in COLUMNS.items()
    } | {"latest": sorted(latest.items(), key=repr), "minutes": sorted(measured.items(), key=repr)}


STEPS = st.sampled_from(
    ["read", "read", "read", "minute", "minute", "checkpoint", "checkpoint", "kill", "kill", "roll", "roll", "fresh"]
)


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_the_views_hold_what_the_last_line_of_attempts_made(data: st.DataObject) -> None:
    with TemporaryDirectory() as name:
        job = Job(Path(name), data)
        for step in data.draw(st.lists(STEPS, min_size=4, max_size=25)):
            if step == "read":
                job.read(data.draw(st.integers(0, PARTITIONS - 1)), data.draw(st.integers(1, 6)))
            elif step == "minute":
                job.measure(data.draw(st.integers(0, 3)), data.draw(st.integers(1, 9)))
            elif step == "checkpoint":
                job.checkpoint()
            elif step == "kill":
                job.restore()
            elif step == "roll" and job.all:
                job.deploy(data.draw(st.sampled_from(job.all)))
            elif step == "fresh":
                job.deploy(None, fresh=True)
        job.measure(0, 1)  # an attempt's first minute says which of earlier ones are void
        job.checkpoint()
        assert shown(Path(name)) == truth(job.state)


def attempt(epoch: int, first: int, parent: int | None, *, partition: int = 0, generation: int = 0) -> dict[str, Any]:
    return {
        "log_partition": partition,
        "first_offset": first,
        "parent_epoch": parent,
        "generation": generation,
        "written_at": 1,
        "epoch": epoch,
    }


def column(folder: Path, sql: str) -> list[object]:
    return [row[0] for row in duck.query(folder, sql).rows]


def test_one_offset_is_one_outcome_over_both_tables(tmp_path: Path) -> None:
    commit(tmp_path / "user_behavior" / HOUR, "part-a", [behavior(0), behavior(1), behavior(2, epoch=2)])
    commit(tmp_path / "dead_letters" / HOUR, "part-a", [letter(1, epoch=2), letter(2)])
    assert column(tmp_path, "SELECT log_offset FROM user_behavior ORDER BY 1") == [0, 2]
    assert column(tmp_path, "SELECT log_offset FROM dead_letters ORDER BY 1") == [1]


def test_of_two_models_answers_only_the_winners_rows_are_shown(tmp_path: Path) -> None:
    answers = [prediction(0, rank, "old") for rank in range(3)] + [prediction(0, 0, "new", epoch=2)]
    commit(tmp_path / "prediction_results" / HOUR, "part-a", answers)
    assert column(tmp_path, "SELECT model_hash FROM prediction_results") == ["new"]


def test_an_answer_to_what_was_then_scored_by_nobody_is_gone(tmp_path: Path) -> None:
    commit(tmp_path / "prediction_results" / HOUR, "part-a", [prediction(0, rank, "old") for rank in range(3)])
    commit(tmp_path / "user_behavior" / HOUR, "part-a", [behavior(0), behavior(0, epoch=2)])
    assert column(tmp_path, "SELECT model_hash FROM prediction_results") == []


def test_versions_beyond_the_fall_back_are_gone(tmp_path: Path) -> None:
    first = [made_list(version, [f"a{version}"], epoch=5) for version in range(1, 11)]
    second = [made_list(version, [f"b{version}"], epoch=6) for version in (6, 7)]
    commit(tmp_path / "recommendation_lists" / HOUR, "part-a", first + second)
    assert column(tmp_path, "SELECT list_version FROM recommendation_lists ORDER BY 1") == [1, 2, 3, 4, 5, 6, 7]
    assert column(tmp_path, "SELECT items[1] FROM latest_recommendation_lists") == ["b7"]


def test_what_the_new_attempt_has_not_reached_is_gone_as_soon_as_it_said_where_it_began(tmp_path: Path) -> None:
    commit(tmp_path / "recommendation_lists" / HOUR, "part-a", [made_list(n, [f"a{n}"], epoch=5) for n in range(1, 11)])
    commit(tmp_path / "attempts" / HOUR, "part-a", [attempt(5, 0, None), attempt(6, 6, 5)])
    assert column(tmp_path, "SELECT items[1] FROM latest_recommendation_lists") == ["a5"]


def test_rolled_back_and_forth_the_rows_between_are_the_first_lines(tmp_path: Path) -> None:
    begun = [attempt(5, 0, None), attempt(6, 2, 5), attempt(7, 5, 5)]
    commit(tmp_path / "attempts" / HOUR, "part-a", begun)
    rows = [*(behavior(n, epoch=5) for n in range(8)), behavior(2, epoch=6), behavior(5, epoch=7)]
    commit(tmp_path / "user_behavior" / HOUR, "part-a", rows)
    found = duck.query(tmp_path, "SELECT log_offset, epoch FROM user_behavior ORDER BY 1").rows
    assert found == [(0, 5), (1, 5), (2, 5), (3, 5), (4, 5), (5, 7)]


@pytest.mark.parametrize("before", [[], [attempt(900, 0, None)]], ids=["of an earlier release", "told"])
def test_before_a_fresh_start_nothing_counts(before: list[dict[str, Any]], tmp_path: Path) -> None:
    """The log was replaced: its offsets, users and minutes may be anything; a generation goes before an epoch."""
    commit(tmp_path / "attempts" / HOUR, "part-a", [*before, attempt(1_000, 0, None, generation=1)])
    old = [behavior(n, epoch=900) for n in range(9)]
    commit(tmp_path / "user_behavior" / HOUR, "part-a", [*old, behavior(0, epoch=1_000)])
    commit(tmp_path / "recommendation_lists" / HOUR, "part-a", [made_list(9, ["x"], epoch=900, user="gone")])
    commit(tmp_path / "feedback_metrics" / HOUR, "part-a", [minute(900, 1, 5)])
    assert column(tmp_path, "SELECT epoch FROM user_behavior") == [1_000]
    assert column(tmp_path, "SELECT count(*) FROM latest_recommendation_lists") == [0]
    assert column(tmp_path, "SELECT count(*) FROM feedback_metrics") == [0]
    assert column(tmp_path, "SELECT count(*) FROM user_behavior_all") == [10]


def test_what_an_earlier_release_wrote_counts_up_to_where_this_one_began(tmp_path: Path) -> None:
    clock = 1_764_000_000_000
    rows = [*(behavior(n, epoch=clock) for n in range(9)), *(behavior(n, epoch=clock + 9) for n in (3, 4, 5))]
    commit(tmp_path / "user_behavior" / HOUR, "part-a", [*rows, behavior(5, epoch=2**42 + 8)])
    dead = [attempt(2**42 + 3, 1, clock)]
    commit(tmp_path / "attempts" / HOUR, "part-a", [attempt(2**42 + 8, 5, clock + 9), *dead])
    found = duck.query(tmp_path, "SELECT log_offset, epoch FROM user_behavior ORDER BY 1").rows
    assert [offset for offset, _ in found] == [0, 1, 2, 3, 4, 5]
    assert [epoch for _, epoch in found] == [*[clock] * 3, *[clock + 9] * 2, 2**42 + 8]


def test_an_attempt_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (commit(tmp_path / "attempts" / HOUR, "part-a", [])).write_text("{")
    with pytest.raises(TablesError, match="part-a cannot be read"):
        duck.query(tmp_path, "SELECT 1")

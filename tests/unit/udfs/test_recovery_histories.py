"""Through any history of polls, crashes, restores and fall-backs readers see what one line of attempts made, once.

The operators are the job's own; the truth is a list of the rows that the surviving line of attempts made, and the log.
A fault planted in the rule by which attempts get their epochs is found.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from job.tables.errors import TablesError
from job.tables.lineage import Lineage, read_lineage
from tests.unit.udfs.job_in_memory import ITEMS, PARTITIONS, Job, Row, Rows, states_in_memory
from udfs.attempt import EPOCHS_A_DEPLOYMENT
from udfs.hashing import stable_hash
from udfs.log import sort_records
from udfs.publishing.publication import newest_lists

pytestmark = pytest.mark.heavy
USERS = ("a", "b", "c")
NOW_MS = 1_700_000_000_000
KEYS: Mapping[str, tuple[str, ...]] = {
    "user_behavior": ("log_partition", "log_offset"),
    "dead_letters": ("log_partition", "log_offset"),
    "recommendation_lists": ("user_id", "list_version"),
}
FIXED: Mapping[str, tuple[str, ...]] = {
    "user_behavior": ("user_id", "action", "item_id", "outcome", "user_seq", "epoch"),
    "dead_letters": ("reason", "epoch"),
    "recommendation_lists": ("items", "user_seq", "log_partition", "log_offset", "epoch"),
}


class Histories(RuleBasedStateMachine):
    """A history of the job, step by step."""

    def __init__(self) -> None:
        super().__init__()
        self.job = Job()

    @rule(
        user=st.sampled_from(USERS),
        action=st.sampled_from(["click", "buy", "dislike", "impression"]),
        item=st.sampled_from(ITEMS),
        event=st.integers(0, 9) | st.none(),
        dead=st.booleans(),
        times=st.integers(1, 3),
    )
    def append(self, user: str, action: str, item: str, event: int | None, dead: bool, times: int) -> None:
        """Records come into the log; a repeated event id makes a duplicate."""
        fields: dict[str, Any] = {"user_id": user, "action": action, "item_id": item, "timestamp": NOW_MS}
        line = json.dumps(fields if event is None else {**fields, "event_id": str(event)}).encode()
        partition = self.job.log[stable_hash(user) % PARTITIONS]
        partition.extend([line] * times + [b"dead"] * dead)

    @rule(partition=st.integers(0, PARTITIONS - 1), records=st.integers(1, 4))
    def poll(self, partition: int, records: int) -> None:
        self.job.poll(partition, records)

    @rule(tracked=st.integers(0, 12), updated=st.integers(0, 12))
    def go_on(self, tracked: int, updated: int) -> None:
        """Elements and barriers move on, and others stay in flight."""
        for _ in range(tracked):
            self.job.track()
        for _ in range(updated):
            self.job.update()

    @rule()
    def wake(self) -> None:
        self.job.wake()

    @rule()
    def trigger(self) -> None:
        self.job.trigger()

    @rule(which=st.integers(0, 3))
    def finish(self, which: int) -> None:
        """Of checkpoints that are on their way a newer one may complete first."""
        self.job.finish(which)

    @rule()
    def announce(self) -> None:
        self.job.announce()

    @rule()
    def settle(self) -> None:
        self.job.settle()
        check(self.job)

    @rule()
    def crash(self) -> None:
        """Flink restores the newest complete checkpoint."""
        self.job.taste += 1
        self.job.start(self.job.own)

    @precondition(lambda self: self.job.complete)
    @rule(data=st.data())
    def fall_back(self, data: st.DataObject) -> None:
        """A new deployment goes on from any checkpoint there ever was; Flink numbers on from that one."""
        self.job.taste += 1
        self.job.deployment += 1
        checkpoint = data.draw(st.sampled_from(range(len(self.job.complete))))
        self.job.numbered = self.job.complete[checkpoint].number
        self.job.start(self.job.complete[checkpoint])

    @rule()
    def begin_anew(self) -> None:
        self.job.taste += 1
        self.job.deployment += 1
        self.job.generation += 1
        self.job.numbered = 0
        self.job.start(None)

    def teardown(self) -> None:
        self.job.settle()
        check(self.job)


def check(job: Job) -> None:
    """Readers of tables and of the topic see the rows of the job's line, each once, and the log is all in them."""
    truth = job.truth()
    committed = {table: list(rows.values()) for table, rows in job.committed.items()}
    seen, expected = counted(committed), {table: keyed(table, truth.get(table, [])) for table in KEYS}
    assert seen == expected
    outcomes = [*expected["user_behavior"], *expected["dead_letters"]]
    offsets = [(partition, offset) for partition, log in enumerate(job.log) for offset in range(len(log))]
    assert sorted(outcomes) == offsets, "each record has one outcome"
    applied: dict[str, list[int]] = {}
    for row in truth.get("user_behavior", []):
        if row["outcome"] == "applied":
            applied.setdefault(row["user_id"], []).append(row["user_seq"])
    lists = {user: [row["user_seq"] for row in of_user(truth, user)] for user in applied}
    assert lists == applied, "each applied behaviour made one list, in order"
    assert all(numbers == list(range(1, len(numbers) + 1)) for numbers in applied.values())
    topic = newest_lists(job.published)
    assert topic.keys() == applied.keys()
    for user, published in topic.items():
        newest = of_user(truth, user)[-1]
        if job.went_forward and published.epoch > newest["epoch"]:
            continue  # the line that was left again has the higher epoch, until the user's next behaviour
        assert published.items == newest["items"], "readers of the topic see the same"


def of_user(rows: Rows, user: str) -> list[Row]:
    return [row for row in rows["recommendation_lists"] if row["user_id"] == user]


def counted(committed: Rows) -> dict[str, dict[tuple[Any, ...], tuple[Any, ...]]]:
    """The rows that count, by the rule of the views: `job.tables.views` has it in SQL."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "part"
        file.write_bytes(b"\n".join(map(msgspec.json.encode, committed.get("attempts", []))))
        lineage = read_lineage([file])
    ends = {(each.log_partition, each.epoch): each.end_offset for each in lineage.epoch_ends}
    found: dict[str, dict[tuple[Any, ...], tuple[Any, ...]]] = {}
    for table in KEYS:
        rows = [row for row in committed.get(table, []) if counts(row, lineage, ends)]
        found[table] = keyed(table, sorted(rows, key=lambda row: (row["epoch"], row["written_at"])))
    return found


def counts(row: Row, lineage: Lineage, ends: Mapping[tuple[int, int], int | None]) -> bool:
    end = ends.get((row["log_partition"], row["epoch"]))
    return bool((end is None or row["log_offset"] < end) and row["epoch"] >= (lineage.root or 0))


def keyed(table: str, rows: list[Row]) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    return {tuple(row[name] for name in KEYS[table]): tuple(map(_plain, row_of(table, row))) for row in rows}


def row_of(table: str, row: Row) -> list[Any]:
    return [row.get(name) for name in FIXED[table]]


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


@pytest.fixture(autouse=True)
def patch() -> Iterator[pytest.MonkeyPatch]:
    with states_in_memory() as patch:
        yield patch


OFTEN = settings(
    max_examples=150, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


def test_any_history_of_faults_leaves_what_one_line_of_attempts_made() -> None:
    run_state_machine_as_test(Histories, settings=OFTEN)


def of_deployment_alone(number: int, _restored: int | None, _stored: int | None) -> int:
    return number * EPOCHS_A_DEPLOYMENT


def of_stored_alone(_number: int, _restored: int | None, stored: int | None) -> int:
    return 0 if stored is None else stored + 1


def never_rising(_number: int, _restored: int | None, _stored: int | None) -> int:
    return 7


@pytest.mark.parametrize("fault", [of_deployment_alone, of_stored_alone, never_rising])
def test_a_fault_in_the_epoch_rule_is_found(
    fault: Callable[[int, int | None, int | None], int], patch: pytest.MonkeyPatch
) -> None:
    patch.setattr(sort_records, "attempt_epoch", fault)
    found = settings(OFTEN, max_examples=2_000, phases=[Phase.generate], report_multiple_bugs=False)
    with pytest.raises((AssertionError, TablesError)):
        run_state_machine_as_test(Histories, settings=found)

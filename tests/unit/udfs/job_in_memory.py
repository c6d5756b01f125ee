"""The job's own operators on state in memory, and what Flink does around them: queues, barriers, checkpoints.

Only Flink and the model are stood in for. An operator reads its input in order; a barrier in it has its state stored.
What operators write to tables is committed with a checkpoint; what they publish is there at once.
"""

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
import pytest

from tests.unit.udfs.default_rules import LISTS, PARSING, PROFILE
from tests.unit.udfs.examples import proposals
from udfs.attempt import DeploymentId
from udfs.buckets import partition_keys
from udfs.elements import (
    ModelRef,
    ScoredBehavior,
    ScoredElement,
    TrackedBehavior,
    decode_tracked,
    encode,
    with_candidates,
)
from udfs.flink import metrics
from udfs.lists import list_metrics, update_lists
from udfs.lists.list_rules import Fallbacks
from udfs.lists.update_lists import UpdateLists, UpdateRules
from udfs.log import sort_records
from udfs.log.take_records import FIELD_END, RECORD_END, TakeRecords
from udfs.publishing.publication import list_record
from udfs.users import track_users
from udfs.users.track_users import TrackUsers

PARTITIONS, BUCKETS = 2, 4
KEYS = partition_keys(PARTITIONS, BUCKETS)
ITEMS = tuple(f"i{number}" for number in range(8))
_MODEL = ModelRef(version="1", hash="m", variant="default")
_RULES = replace(LISTS, length=3, trend_weight=0.0)
Row = dict[str, Any]
Rows = dict[str, list[Row]]
TABLES = {"attempts": "attempts", "user-behavior": "user_behavior", "dead-letters": "dead_letters"}


@dataclass(frozen=True)
class Barrier:
    """The barrier of a checkpoint."""

    number: int


@dataclass
class Stored:
    """An operator's part of a checkpoint: its state, and the rows that it made on the way to it."""

    states: dict[str, dict[int, Any]] = field(default_factory=dict)
    made: Rows = field(default_factory=dict)
    offsets: list[int] = field(default_factory=lambda: [0] * PARTITIONS)
    """Where Flink's connector reads on; only in front of poll-log."""

    def copy(self) -> "Stored":
        """What is stored now: bytes and rows do not change."""
        states = {name: {key: _copied(state) for key, state in of.items()} for name, of in self.states.items()}
        return Stored(states, {table: list(rows) for table, rows in self.made.items()}, list(self.offsets))


def _copied(state: Any) -> Any:
    return dict(state) if isinstance(state, dict) else state


class _State:
    """A ValueState or MapState of whichever key its operator is at."""

    def __init__(self, operator: "Operator", name: str) -> None:
        self._operator = operator
        self._by_key = operator.stored.states.setdefault(name, {})

    def value(self) -> Any:
        return self._by_key.get(self._operator.key)

    def update(self, state: bytes) -> None:
        self._by_key[self._operator.key] = state

    def clear(self) -> None:
        self._by_key.pop(self._operator.key, None)

    def get(self, name: str) -> Any:
        return self._map().get(name)

    def put(self, name: str, state: bytes) -> None:
        self._map()[name] = state

    def keys(self) -> Any:
        return self._map().keys()

    def _map(self) -> dict[str, bytes]:
        found: dict[str, bytes] = self._by_key.setdefault(self._operator.key, {})
        return found


class Operator:
    """One of the job's functions: runtime context, context and timers of it at the same time."""

    def __init__(self, function: Any, stored: Stored, restored: int | None) -> None:
        self.function, self.stored, self.restored = function, stored.copy(), restored
        self.input: deque[Any] = deque()
        self.key = 0
        function.open(self)

    def take(self, element: Any) -> Iterator[Any]:
        """Process one element, and yield what it sends on; rows of tables are stored."""
        self.key, value = element
        yield from self.sent(self.function.process_element(value, self))

    def sent(self, outputs: Any) -> Iterator[Any]:
        for each in outputs or ():
            if isinstance(each, tuple) and hasattr(each[0], "tag_id"):
                if (table := TABLES.get(each[0].tag_id)) is not None:
                    self.wrote(table, each[1])
            else:
                yield each

    def wrote(self, table: str, lines: str) -> None:
        self.stored.made.setdefault(table, []).extend(map(msgspec.json.decode, lines.splitlines()))

    def get_current_key(self) -> int:
        return self.key

    def timer_service(self) -> "Operator":
        return self

    def current_processing_time(self) -> int:
        return 0

    def register_processing_time_timer(self, _: int) -> None:
        """Nothing but poll-log's waking, which `Job.wake` does, depends on time."""

    def get_metrics_group(self) -> "Operator":
        return self

    def add_group(self, *_: str) -> "Operator":
        return self

    def counter(self, _: str) -> "Operator":
        return self

    def inc(self, _: int = 1) -> None:
        """Nobody reads it here."""


@dataclass
class Checkpoint:
    """A checkpoint: complete once all operators have stored their part; `line` is the ones that it goes on from."""

    number: int
    parts: list[Stored] = field(default_factory=list)
    line: tuple["Checkpoint", ...] = ()

    def rows(self) -> Rows:
        found: Rows = {}
        for part in self.parts:
            for table, rows in part.made.items():
                found.setdefault(table, []).extend(rows)
        return found


class Job:
    """The job over a log that only grows, and everything that outlives its attempts.

    Attributes:
        log: the records of each partition.
        committed: the rows of each table that readers see.
        published: the values of the lists' topic, in order.
        complete: the checkpoints that can be restored, of all deployments.
        line: those of them that the present attempt goes on from.
        went_forward: whether it ever went on from one that had been gone back behind.
    """

    def __init__(self) -> None:
        self.log: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
        self.committed: dict[str, dict[bytes, Row]] = {}
        self.published: list[bytes] = []
        self.complete: list[Checkpoint] = []
        self.deployment = self.generation = 0
        self.taste = 0
        self.numbered = 0
        self.line: tuple[Checkpoint, ...] = ()
        self.went_forward = False
        self.start(None)

    def start(self, checkpoint: Checkpoint | None) -> None:
        """Begin an attempt; what the restored checkpoint wrote is committed, and all else in flight is gone."""
        self.own = checkpoint
        self.went_forward |= checkpoint is not None and all(each is not checkpoint for each in self.line)
        self.line = () if checkpoint is None else (*checkpoint.line, checkpoint)
        self.running: list[Checkpoint] = []
        self.unannounced: list[Checkpoint] = []
        if checkpoint is not None:
            self.commit(checkpoint)
        deployment = DeploymentId(number=self.deployment, generation=self.generation)
        parts = checkpoint.parts if checkpoint else [Stored(), Stored(), Stored()]
        functions = (
            TakeRecords(PARSING, BUCKETS, deployment),
            TrackUsers(PROFILE, frozenset(), with_trends=False),
            UpdateLists(UpdateRules(lists=_RULES, prediction_sample_rate=0.0), Fallbacks),
        )
        restored = None if checkpoint is None else checkpoint.number
        self.poll_log, self.track_users, self.update_lists = (
            Operator(function, part, restored) for function, part in zip(functions, parts, strict=True)
        )

    @property
    def operators(self) -> tuple[Operator, Operator, Operator]:
        return self.poll_log, self.track_users, self.update_lists

    def poll(self, partition: int, records: int) -> None:
        """Hand the next records of a partition to poll-log."""
        begin = self.poll_log.stored.offsets[partition]
        found = self.log[partition][begin : begin + records]
        if not found:
            return
        self.poll_log.stored.offsets[partition] += len(found)
        lines = (
            FIELD_END.join((str(begin + number), "", record.decode("latin-1"))) for number, record in enumerate(found)
        )
        element = partition.to_bytes(4, "little") + RECORD_END.join(lines).encode()
        self.track_users.input.extend(self.poll_log.take((KEYS[partition], element)))

    def wake(self) -> None:
        """Fire the timers that every checkpoint holds: partitions that were read are begun again."""
        for key in self.poll_log.stored.states["log_position"]:
            self.poll_log.key = key
            self.track_users.input.extend(self.poll_log.sent(self.poll_log.function.on_timer(0, self.poll_log)))

    def track(self) -> bool:
        """Process one element, or a barrier, of track-users."""
        if not self.track_users.input:
            return False
        element = self.track_users.input.popleft()
        if isinstance(element, Barrier):
            self._store(element, self.track_users)
            self.update_lists.input.append(element)
        else:
            self.update_lists.input.extend(self.track_users.take(element))
        return True

    def update(self) -> bool:
        """Score and process one element, or a barrier, of update-lists; what comes out is published at once."""
        if not self.update_lists.input:
            return False
        element = self.update_lists.input.popleft()
        if isinstance(element, Barrier):
            self._store(element, self.update_lists)
            return True
        scored = encode(self._scored(decode_tracked(element[1])))
        for lines in self.update_lists.take((element[0], scored)):
            self.update_lists.wrote("recommendation_lists", lines)
            self.published.extend(list_record(line).value for line in lines.splitlines())
        return True

    def trigger(self) -> None:
        """Begin a checkpoint: poll-log stores its part, and a barrier follows what it sent."""
        self.numbered += 1
        checkpoint = Checkpoint(self.numbered)
        self.running.append(checkpoint)
        self._store(Barrier(self.numbered), self.poll_log)
        self.track_users.input.append(Barrier(self.numbered))

    def finish(self, which: int) -> None:
        """Complete one of the checkpoints whose barriers are through; older ones are given up, as Flink does."""
        through = [each for each in self.running if len(each.parts) == len(self.operators)]
        if through:
            done = through[which % len(through)]
            self.running = [each for each in self.running if each.number > done.number]
            done.line = self.line
            self.line = (*self.line, done)
            self.complete.append(done)
            self.unannounced.append(done)
            self.own = done

    def announce(self) -> None:
        """Tell the sinks of the newest complete checkpoint: they commit what was written up to it."""
        if self.unannounced:
            self.commit(self.unannounced[-1])
            self.unannounced.clear()

    def commit(self, checkpoint: Checkpoint) -> None:
        """Commit a checkpoint's rows; those that were committed before stay as they are."""
        for table, rows in checkpoint.rows().items():
            self.committed.setdefault(table, {}).update((msgspec.json.encode(row), row) for row in rows)

    def settle(self) -> None:
        """Read all there is, and complete and announce a checkpoint of it."""
        for partition in range(PARTITIONS):
            self.poll(partition, len(self.log[partition]))
        self.wake()
        self.trigger()
        while self.track() or self.update():
            pass
        self.finish(-1)
        self.announce()

    def truth(self) -> Rows:
        """Return the rows that the present line of attempts made."""
        return Checkpoint(0, [each.stored for each in self.operators]).rows()

    def _store(self, barrier: Barrier, operator: Operator) -> None:
        for checkpoint in self.running:
            if checkpoint.number == barrier.number:
                checkpoint.parts.append(operator.stored.copy())

    def _scored(self, element: Any) -> ScoredElement:
        behaviors = [self._proposed(each) for each in element.behaviors]
        return ScoredElement(epoch=element.epoch, duplicates=element.duplicates, models=[_MODEL], behaviors=behaviors)

    def _proposed(self, tracked: TrackedBehavior) -> ScoredBehavior:
        """Return what the model says, which is another one in each attempt: what is made again is not the same."""
        first = (tracked.user_seq + self.taste) % len(ITEMS)
        return with_candidates(tracked, proposals(*ITEMS[first:], *ITEMS[:first]), model=0, batch_size=1)


@contextmanager
def states_in_memory() -> Iterator[pytest.MonkeyPatch]:
    """Have operators keep their state in an `Operator`: Flink's own is there in its thread mode alone."""
    with pytest.MonkeyPatch.context() as patch:
        for module in (sort_records, track_users, update_lists):
            for maker in ("bytes_value_state", "bytes_map_state"):
                patch.setattr(module, maker, _State, raising=False)
        for counting in (metrics, list_metrics, sort_records):  # `counters` and `counters_by` are made of it
            patch.setattr(counting, "counter", lambda context, *_, **_labels: context)
        patch.setattr(sort_records, "restored_checkpoint", lambda context: context.restored)
        yield patch

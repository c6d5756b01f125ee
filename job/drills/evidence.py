"""The evidence of a run for the judges: plain rows and moments, without files and without Flink.

Moments are epoch milliseconds UTC, all by the clock of the machine that a drill runs on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from job.explain.same_lists import Offset, SeenList
from udfs.publishing.publication import PublishedList

_Row = TypeVar("_Row", "SeenBehavior", SeenList, "SeenLetter")
_WRONG_CLOCK_MS = 43_200_000


@dataclass(frozen=True, slots=True)
class SeenBehavior:
    """A row of user_behavior; `user_seq` is None for a duplicate."""

    partition: int
    offset: int
    user_id: str
    action: str
    item_id: str
    outcome: str
    user_seq: int | None
    epoch: int
    written_at: int

    @property
    def at(self) -> Offset:
        """The behaviour's place in the log."""
        return self.partition, self.offset


@dataclass(frozen=True, slots=True)
class SeenLetter:
    """A row of dead_letters."""

    partition: int
    offset: int
    reason: str
    epoch: int
    written_at: int

    @property
    def at(self) -> Offset:
        """The record's place in the log."""
        return self.partition, self.offset


@dataclass(frozen=True, slots=True)
class Repeat:
    """The committed rows of a table that have the same key, and the epoch of each."""

    table: str
    key: str
    epochs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Output:
    """The tables of a run once everything was processed.

    Attributes:
        ends: log partition -> number of its records.
        behaviors: the view user_behavior.
        lists: the view recommendation_lists.
        latest: the view latest_recommendation_lists.
        letters: the view dead_letters.
        predictions: the view prediction_results, with the rows of a behaviour joined into a list.
        repeats: keys that were committed more than once, in any epoch; the views show one row of each.
        made_again: the number of lists without scores that were made again from what their rows recorded.
        unequal: descriptions of those that came out as other ones.
        published: each user's list by the rule for readers of what was published.
    """

    ends: Mapping[int, int]
    behaviors: tuple[SeenBehavior, ...]
    lists: tuple[SeenList, ...]
    latest: tuple[SeenList, ...]
    letters: tuple[SeenLetter, ...]
    predictions: tuple[SeenList, ...] = ()
    repeats: tuple[Repeat, ...] = ()
    made_again: int = 0
    unequal: tuple[str, ...] = ()
    published: Mapping[str, PublishedList] = field(default_factory=dict)

    def numbered(self, number_of: Callable[[int, int], int]) -> "Output":
        """Return the rows by the numbers of their records, in place of their offsets in the log."""

        def moved(rows: tuple[_Row, ...]) -> tuple[_Row, ...]:
            return tuple(replace(row, offset=number_of(row.partition, row.offset)) for row in rows)

        return replace(
            self,
            behaviors=moved(self.behaviors),
            lists=moved(self.lists),
            latest=moved(self.latest),
            letters=moved(self.letters),
            predictions=moved(self.predictions),
        )

    def by_one_clock(self, injected_ms: int, now_ms: int) -> "Output":
        """Return the rows; those of clocks that were a day wrong are stamped with the moment of the fault."""

        def stamped(rows: tuple[_Row, ...]) -> tuple[_Row, ...]:
            return tuple(
                replace(row, written_at=injected_ms) if abs(row.written_at - now_ms) > _WRONG_CLOCK_MS else row
                for row in rows
            )

        return replace(
            self, behaviors=stamped(self.behaviors), lists=stamped(self.lists), letters=stamped(self.letters)
        )

    def up_to(self, ends: Sequence[int]) -> "Output":
        """Return the rows of the records before an offset of each partition, as a run over those alone would give."""

        def kept(lists: tuple[SeenList, ...]) -> tuple[SeenList, ...]:
            return tuple(row for row in lists if row.offset < ends[row.partition])

        lists = kept(self.lists)
        latest = {row.user_id: row for row in sorted(lists, key=lambda row: row.list_version)}
        return replace(
            self,
            ends=dict(enumerate(ends)),
            behaviors=tuple(row for row in self.behaviors if row.offset < ends[row.partition]),
            lists=lists,
            latest=tuple(latest.values()),
            letters=tuple(row for row in self.letters if row.offset < ends[row.partition]),
            predictions=kept(self.predictions),
        )


@dataclass(frozen=True, slots=True)
class CompletedCheckpoint:
    """A completed checkpoint: its id, its folder's URI, and the moment it was complete."""

    checkpoint_id: int
    path: str
    completed_ms: int


@dataclass(frozen=True, slots=True)
class Restore:
    """The newest restore: the checkpoint's id and URI, and the moment."""

    checkpoint_id: int
    path: str
    restored_ms: int


@dataclass(frozen=True, slots=True)
class Footprint:
    """The use of the machine by a cluster, while its job runs.

    Attributes:
        processes: kind of process -> number of them.
        ports: the number of ports that they listen at.
        memory_mb: the memory of all of them that nobody shares, MiB.
    """

    processes: Mapping[str, int]
    ports: int
    memory_mb: float


@dataclass(frozen=True, slots=True)
class Recovery:
    """The recovery of the job from a fault; a moment that was never reached is None.

    Attributes:
        injected_ms: the fault was injected.
        detected_ms: the job was first seen with a task that did not run.
        restarted_ms: all tasks were seen running again, for good.
        caught_up_ms: records were processed as fast as they were appended again.
        checkpoints: all checkpoints completed, before and after the fault.
        restored: the newest restore, or None.
        reprocessed: behaviours that were processed before the fault and again after it.
        evidence: a description of the fault's effect; None if it was not seen to have any.
        spoiled: URIs of the checkpoints that the fault made unusable.
        before: the cluster's footprint before the fault; None if it was not taken.
        after: the same after the recovery.
    """

    injected_ms: int
    detected_ms: int | None
    restarted_ms: int | None
    caught_up_ms: int | None
    checkpoints: tuple[CompletedCheckpoint, ...]
    restored: Restore | None
    reprocessed: int
    evidence: str | None
    spoiled: frozenset[str] = frozenset()
    before: Footprint | None = None
    after: Footprint | None = None

    def seconds(self, moment_ms: int | None) -> float | None:
        """Return the seconds from the fault to a moment; None if it was never reached."""
        return None if moment_ms is None else round((moment_ms - self.injected_ms) / 1000, 3)


@dataclass(frozen=True, slots=True)
class Expectation:
    """The expected effect of a fault on a job that recovers correctly.

    Attributes:
        restarts: tasks fail and restart from a checkpoint.
        reprocesses: behaviours after that checkpoint are processed again; if none is, the moment of the fault proves
            nothing, and the run does not count.
        falls_back: the job may restore an older checkpoint than its newest: rows that were committed after that one
            are then there a second time, in a higher epoch.
        scores: a model goes on to score; if it does not, lists are fallback lists meanwhile, and cannot be the
            control's.
        stands: the job's parallelism stays, and with it the number of its processes.
    """

    restarts: bool = True
    reprocesses: bool = True
    falls_back: bool = False
    scores: bool = True
    stands: bool = True

"""The job's rules for leaving rows out of a log, applied to a data set in the order of its rows.

A row is impossible if its time is before `earliest_ms`, or more than `max_ahead_ms` after it was appended (after now
where it does not say when it was). A repeated event is applied once. A row is late if it is older than the newest
row before it by more than the job allows. That means something only where the rows are in the order of a log, so
late rows are counted, and left out only where the user says that the rows are a log.
"""

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial

from model.datasets.reading import ReadReport
from model.event_time import ALLOWED_LATENESS_MS, MAX_AHEAD_MS
from model.ids import EVENT_IDS_KEPT, HASH_TYPECODE, is_new_event
from model.records import EpochMs, UserBehavior, UserId

REPEATED = "the event_id was there before"
IMPOSSIBLE = "the timestamp is impossible"
LATE = "the row is late"


@dataclass(frozen=True, slots=True)
class LogRules:
    """The job's settings that decide which rows of a log are applied.

    Attributes:
        earliest_ms: smallest possible event time.
        max_ahead_ms: how far an event time may lie after the row was appended, or after now.
        allowed_lateness_ms: how far it may lie before the newest one so far.
        event_ids_limit: how many of a user's newest event ids are remembered.
        drop_late: leaves late rows out, as the rows are a log in its order.
    """

    earliest_ms: EpochMs = 0
    max_ahead_ms: int = MAX_AHEAD_MS
    allowed_lateness_ms: int = ALLOWED_LATENESS_MS
    event_ids_limit: int = EVENT_IDS_KEPT
    drop_late: bool = False


@dataclass(slots=True)
class EventsOnce:
    """The newest event ids of each user, by which repeated events are found; 8 bytes an id."""

    limit: int = EVENT_IDS_KEPT
    _known: "defaultdict[UserId, array[int]]" = field(
        default_factory=lambda: defaultdict(partial(array, HASH_TYPECODE))
    )

    def is_new(self, behavior: UserBehavior) -> bool:
        """Remember the user's event, and return False if it was there before; True where it has no id."""
        event_id = behavior.event_id
        return event_id is None or is_new_event(self._known[behavior.user_id], event_id, self.limit)


@dataclass(slots=True)
class LogFilter:
    """A filter that lets through the behaviours that the job would apply.

    Attributes:
        rules: the job's.
        now_ms: the time of reading, for rows that do not say when they were appended.
        late: how many rows were late, left out or not.
    """

    rules: LogRules
    now_ms: EpochMs
    late: int = 0

    def __call__(self, behaviors: Iterable[UserBehavior], report: ReadReport) -> Iterator[UserBehavior]:
        """Yield the behaviours that are applied, and count the others in `report`."""
        rules, newest = self.rules, 0
        once = EventsOnce(rules.event_ids_limit)
        for behavior in behaviors:
            appended_ms = self.now_ms if report.appended_ms is None else report.appended_ms
            if not rules.earliest_ms <= behavior.timestamp <= appended_ms + rules.max_ahead_ms:
                report.skip(IMPOSSIBLE)
                continue
            # As in the job, no row moves the newest time beyond the time at which it was appended.
            known = newest if report.appended_ms is None else min(newest, appended_ms)
            if behavior.timestamp < known - rules.allowed_lateness_ms:
                self.late += 1
                if rules.drop_late:
                    report.skip(LATE)
                    continue
            reached = behavior.timestamp if report.appended_ms is None else min(behavior.timestamp, appended_ms)
            newest = max(newest, reached)
            if once.is_new(behavior):
                yield behavior
            else:
                report.skip(REPEATED, intended=True)

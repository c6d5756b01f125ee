"""A thread that follows the behaviour log and the published lists into the store, and broadcasts what it finds.

Behaviours are parsed and dropped as the job does it, lists are chosen by the readers' rule
(`udfs.publishing.publication`). A log that is away or not there yet is tried again for as long as it takes; `state`
says so meanwhile, and what the store has is served.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event as Flag
from threading import Thread

import msgspec

from job.serving.events import Event, Events
from job.serving.freshness import Freshness
from job.serving.store import ListStore, ReadTo, Source
from job.serving.trending import Trending
from model.errors import RecloopError
from udfs.elements import LoggedBehavior
from udfs.hashing import stable_hash
from udfs.log.parsing import DeadLetter, LogRecord, ParsingRules, newest_after, parse
from udfs.log.reader import Log, LogReader, LogReplacedError, LogTruncatedError, MissingLogError, Poll

_POLL_RECORDS = 2_048
_RETRY_S = 1.0
_SILENT_MS = 10_000
"""A log that has not answered for longer is a problem."""
_NO_LISTS = "no lists are published yet: run recloop deploy with the same publish.lists_folder"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FollowerState:
    """The progress of the follower.

    Attributes:
        problem: what keeps it from reading, in a sentence; None if nothing does.
        lists: published lists read since the start.
        behaviors: behaviours read since the start.
        bad: records of the lists that were none.
        rounds: how often both logs were polled.
        behind: whether more is there to be read at once.
        silent_ms: for how long a log has not answered.
        read_at_ms: when all that was there had last been read, epoch ms; None if that was never so.
    """

    problem: str | None = None
    lists: int = 0
    behaviors: int = 0
    bad: int = 0
    rounds: int = 0
    behind: bool = True
    silent_ms: int = 0
    read_at_ms: int | None = None


@dataclass(slots=True)
class _Followed:
    """One of the two logs, and its reader while that is open."""

    source: Source
    log: Log
    take: Callable[[int, Poll], None]
    reader: LogReader | None = None
    problem: str | None = None
    retry_at: float = 0.0
    partitions: int = 0
    ends: Mapping[int, int] | None = None
    reached: dict[int, int] = field(default_factory=dict)

    @property
    def is_read(self) -> bool:
        """True if all that was there at the start was read; a topic's reader reports nothing while it connects."""
        ends = self.ends
        return self.partitions > 0 and ends is not None and all(self.reached.get(p, 0) >= ends[p] for p in ends)

    def opened(self) -> LogReader:
        if self.reader is None:
            self.reader = self.log.open()
        return self.reader

    def close(self) -> None:
        if self.reader is not None:
            self.reader.close()
        self.reader = None


class Follower:
    """The thread, and what it found out."""

    def __init__(
        self,
        store: ListStore,
        *,
        behaviors: Log,
        lists: Log,
        rules: ParsingRules,
        event_ids_limit: int,
        trending: Trending,
        events: Events,
        poll_s: float,
        ends: Callable[[Log], Mapping[int, int]] = lambda _: {},
    ) -> None:
        self._store = store
        self._rules = rules
        self._event_ids_limit = event_ids_limit
        self._trending = trending
        self._events = events
        self._poll_s = poll_s
        self._ends = ends
        # Behaviours first: a list is never there before the behaviour that it has seen.
        self._followed = (
            _Followed("behaviors", behaviors, self._take_behaviors),
            _Followed("lists", lists, self._take_lists),
        )
        self._newest: dict[int, int] = {}
        self._lists = self._behaviors = self._bad = 0
        self._state = FollowerState()
        self._stop = Flag()
        self._thread = Thread(target=self._run, name="follow", daemon=True)
        self.freshness = Freshness()

    def start(self) -> None:
        """Begin to follow."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread, and wait for it."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join()
        for each in self._followed:
            each.close()

    def state(self) -> FollowerState:
        """Return the progress, as of the last round."""
        return self._state

    def newest_ms(self, user_id: str) -> int:
        """Return the newest event time of the partition of a user's behaviours; see `newest_after`."""
        partitions = self._followed[0].partitions
        return self._newest.get(stable_hash(user_id) % partitions, 0) if partitions else 0

    def follow_once(self) -> bool:
        """Read what both logs hold next, and return whether there is more."""
        more = sum(self._follow(each) for each in self._followed) > 0  # all of them
        self._trending.renew()
        silent_ms = max((each.reader.silent_ms() for each in self._followed if each.reader is not None), default=0)
        problem = next((each.problem for each in self._followed if each.problem), None)
        if problem is None and silent_ms > _SILENT_MS:
            problem = "Kafka does not answer: what was read until then is served, and it is tried again"
        caught_up = not more and problem is None and all(each.is_read for each in self._followed)
        self._state = FollowerState(
            problem=problem,
            lists=self._lists,
            behaviors=self._behaviors,
            bad=self._bad,
            rounds=self._state.rounds + 1,
            behind=not caught_up,
            silent_ms=silent_ms,
            read_at_ms=_now_ms() if caught_up else self._state.read_at_ms,
        )
        return more

    def _run(self) -> None:
        while not self._stop.is_set():
            if not self.follow_once():
                self._stop.wait(self._poll_s)

    def _follow(self, followed: _Followed) -> bool:
        """Take one poll of each partition; a log that fails is opened anew a second later."""
        if time.monotonic() < followed.retry_at:
            return False
        more = False
        try:
            reader = followed.opened()
            followed.partitions = reader.partitions()
            if followed.ends is None:
                followed.ends = self._ends(followed.log)
            for partition in range(followed.partitions):
                more = self._poll(followed, reader, partition) or more
        except (RecloopError, OSError) as error:
            problem = _NO_LISTS if isinstance(error, MissingLogError) and followed.source == "lists" else str(error)
            if problem != followed.problem:
                _log.warning("%s", problem)
            followed.problem = problem
            followed.retry_at = time.monotonic() + _RETRY_S
            followed.close()
        else:
            followed.problem = None
        return more

    def _poll(self, followed: _Followed, reader: LogReader, partition: int) -> bool:
        at = self._store.position(followed.source, partition)
        try:
            poll = reader.poll(partition, at.next_offset, at.cursor, _POLL_RECORDS)
        except (LogReplacedError, LogTruncatedError):
            self._begin_anew(followed.source, partition)
            raise
        if poll.records:
            followed.take(partition, poll)
        followed.reached[partition] = poll.next_offset
        return poll.more

    def _begin_anew(self, source: Source, partition: int) -> None:
        """Forget how far a log was read that is another one now; lists that were read stay until newer ones come."""
        write = self._store.begin()
        write.move(source, partition, ReadTo())
        if source == "behaviors":
            write.forget_behaviors()
            self._trending.forget()
            self._newest.clear()
        self._store.commit(write)

    def _take_lists(self, partition: int, poll: Poll) -> None:
        write = self._store.begin()
        taken: list[tuple[str, bytes]] = []
        for record in poll.records:
            if record.problem is not None:
                continue  # of a compacted topic most offsets are gone; a tombstone is no list
            try:
                offered = write.offer_list(record.raw)
            except (msgspec.DecodeError, UnicodeDecodeError):
                self._bad += 1
                continue
            if offered is not None:
                taken.append((offered.user_id, record.raw))
        write.move("lists", partition, ReadTo(poll.next_offset, poll.cursor))
        self._store.commit(write)
        self._lists += len(poll.records)
        now_ms = _now_ms()
        self.freshness.add([raw for _, raw in taken], now_ms)
        if self._events.subscribers:
            self._events.publish([Event(kind="list", user_id=user, payload=raw, at_ms=now_ms) for user, raw in taken])

    def _newest_of(self, partition: int) -> int:
        if partition not in self._newest:
            self._newest[partition] = self._store.position("behaviors", partition).newest_ms
        return self._newest[partition]

    def _take_behaviors(self, partition: int, poll: Poll) -> None:
        newest_ms = self._newest_of(partition)
        write, now_ms = self._store.begin(), _now_ms()
        applied: list[LoggedBehavior] = []
        dead: list[DeadLetter] = []
        for record in poll.records:
            parsed = parse(record, self._rules, newest_ms=newest_ms, now_ms=now_ms)
            if isinstance(parsed, DeadLetter):
                dead.append(parsed)
                continue
            newest_ms = newest_after(newest_ms, parsed)
            if write.add_behavior(parsed, self._event_ids_limit):
                applied.append(parsed)
        self._trending.add(applied, write)
        write.move("behaviors", partition, ReadTo(poll.next_offset, poll.cursor, newest_ms))
        self._store.commit(write)
        self._newest[partition] = newest_ms
        self._behaviors += len(poll.records)
        if self._events.subscribers:
            self._events.publish([*map(_behavior_event, applied), *map(_dead_event, dead)])


def _behavior_event(behavior: LoggedBehavior) -> Event:
    fields = {name: getattr(behavior, name) for name in behavior.__struct_fields__}
    return Event(kind="behavior", user_id=behavior.user_id, payload=msgspec.json.encode(fields))


def _dead_event(letter: DeadLetter) -> Event:
    record: LogRecord = letter.record
    fields = {
        "reason": letter.reason.value,
        "detail": letter.detail,
        "log_partition": record.partition,
        "log_offset": record.offset,
    }
    return Event(kind="dead_letter", user_id=None, payload=msgspec.json.encode(fields))


def _now_ms() -> int:
    return int(time.time() * 1000)

"""A copy of the log's behaviours: every record is read once, and kept until the window has passed it."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from job.kafka.topics import end_offsets
from job.learning.errors import LearnError
from job.learning.state import Folder, LearnState, Place, Segment
from job.settings.job_settings import JobSettings
from job.topology.rules import action_table, parsing_rules
from model.actions import ActionTable
from model.datasets.interactions import Interactions, interactions_of
from model.datasets.json_lines import encode_behavior, read_behaviors
from model.files import whole_file
from model.records import EpochMs, UserBehavior
from udfs.log.file_log import FileLog
from udfs.log.kafka_log import KafkaLog
from udfs.log.parsing import DeadLetter, ParsingRules, newest_after, parse
from udfs.log.reader import Log, LogReader, LogReplacedError, LogTruncatedError

_POLL_RECORDS = 4_096
_MOST = 100_000
"""Behaviours of a segment, about, so that memory is bounded."""
_SILENT_S = 60.0
"""The longest that a topic may answer nothing while it is known to have more."""
_PAUSE_S = 0.02
_GROUP = "-learning"


def behavior_log(job: JobSettings) -> Log:
    """Return the log that behaviours are learned from; of a topic that forgets, what is still there is read."""
    if job.log.kind == "files":
        return FileLog(job.log.folder)
    group = job.log.group + _GROUP
    connection = job.kafka.connection()
    return KafkaLog(connection=connection, topic=job.log.topic, group=group, start_offsets=(), skip_gone=True)


@dataclass(slots=True)
class _Reading:
    """One pass over the log, from the places where the last one ended."""

    rules: ParsingRules
    places: dict[int, Place]
    found: list[UserBehavior] = field(default_factory=list)

    def poll(self, reader: LogReader, partition: int, now_ms: EpochMs) -> bool:
        """Take one poll of a partition; return whether it has more."""
        at = self.places.get(partition, Place())
        poll = reader.poll(partition, at.next_offset, at.cursor, _POLL_RECORDS)
        newest_ms = at.newest_ms
        for record in poll.records:
            parsed = parse(record, self.rules, newest_ms=newest_ms, now_ms=now_ms)
            if not isinstance(parsed, DeadLetter):
                newest_ms = newest_after(newest_ms, parsed)
                self.found.append(
                    UserBehavior(parsed.user_id, parsed.action, parsed.item_id, parsed.timestamp, parsed.event_id)
                )
        self.places[partition] = Place(next_offset=poll.next_offset, cursor=poll.cursor, newest_ms=newest_ms)
        return poll.more


class BehaviorCopy:
    """The copy, and the log that it follows.

    Attributes:
        is_behind: whether the log has more than the last call of `follow` read.
    """

    def __init__(self, job: JobSettings, folder: Folder) -> None:
        """Open the log of the job's settings, resolved; `folder` holds the copy."""
        self._folder = folder
        self._actions: ActionTable = action_table(job)
        self._rules = parsing_rules(job, self._actions)
        self._log = behavior_log(job)
        self._reader: LogReader | None = None
        self.is_behind = False

    def close(self) -> None:
        """Close the log."""
        if self._reader is not None:
            self._reader.close()
        self._reader = None

    def follow(self, state: LearnState, now_ms: EpochMs) -> LearnState:
        """Read what the log has got since, into a new segment; the state that names it is the caller's to write.

        A process that is killed before that reads the same records again, into a file of the same name.

        Raises:
            LogError: there is no log, or not the one that was read before.
            LearnError: a topic's brokers do not answer.
        """
        if self._reader is None:
            self._reader = self._log.open()
        reading = _Reading(self._rules, {int(number): place for number, place in state.places.items()})
        ends = self._ends()
        silent_since = time.monotonic()
        while len(reading.found) < _MOST:
            before = dict(reading.places)
            partitions = range(self._reader.partitions())
            more = sum(self._poll(reading, self._reader, partition, now_ms) for partition in partitions) > 0  # all
            behind = any(reading.places.get(number, Place()).next_offset < end for number, end in ends.items())
            self.is_behind = more or behind
            if not self.is_behind:
                break
            if reading.places != before:
                silent_since = time.monotonic()
            elif time.monotonic() - silent_since > _SILENT_S:
                msg = f"the log has not answered for {_SILENT_S:.0f} s: see that its brokers run"
                raise LearnError(msg)
            else:
                time.sleep(_PAUSE_S)
        return self._grown(state, reading)

    def _poll(self, reading: _Reading, reader: LogReader, partition: int, now_ms: EpochMs) -> bool:
        try:
            return reading.poll(reader, partition, now_ms)
        except (LogReplacedError, LogTruncatedError) as error:
            msg = f"{error}; to learn from the log as it is now, remove {self._folder.path}"
            raise LearnError(msg) from error

    def _ends(self) -> Mapping[int, int]:
        """Return for each partition of a topic the offset that its next record gets; files are read to their ends."""
        return end_offsets(self._log.connection, self._log.topic) if isinstance(self._log, KafkaLog) else {}

    def _grown(self, state: LearnState, reading: _Reading) -> LearnState:
        places = {str(number): place for number, place in sorted(reading.places.items())}
        if not reading.found:
            return msgspec.structs.replace(state, places=places)
        return self._with_segment(msgspec.structs.replace(state, places=places), reading.found)

    def _with_segment(self, state: LearnState, behaviors: Sequence[UserBehavior]) -> LearnState:
        """Write behaviours, at least one, as a new segment, merged with those before it that are no larger.

        So each behaviour is written a few times, and there are a few small segments however short the polls are.
        """
        kept, count = list(state.segments), len(behaviors)
        newest_ms = max(map(_event_time, behaviors))
        merged: list[Segment] = []
        while kept and kept[-1].behaviors <= count and count + kept[-1].behaviors <= _MOST:
            merged.insert(0, kept.pop())
            count, newest_ms = count + merged[0].behaviors, max(newest_ms, merged[0].newest_ms)
        number = int(state.segments[-1].name.partition(".")[0]) + 1 if state.segments else 0
        name = f"{number:08d}.jsonl"
        with whole_file(self._folder.behaviors / name) as file:
            for segment in merged:
                file.write((self._folder.behaviors / segment.name).read_bytes())
            file.writelines(encode_behavior(behavior) + b"\n" for behavior in behaviors)
        new = Segment(name=name, behaviors=count, newest_ms=newest_ms)
        return msgspec.structs.replace(state, segments=(*kept, new), followed=state.followed + len(behaviors))

    def without_old(self, state: LearnState, window_ms: int) -> LearnState:
        """Return the state without the segments that the window has passed; the newest one stays."""
        newest = max((segment.newest_ms for segment in state.segments), default=0)
        kept = tuple(each for each in state.segments if each.newest_ms >= newest - window_ms)
        return msgspec.structs.replace(state, segments=kept)

    def remove_unnamed(self, state: LearnState) -> None:
        """Remove the files of segments that the state does not name."""
        named = {segment.name for segment in state.segments}
        for path in self._folder.behaviors.iterdir():
            if path.name not in named:
                path.unlink(missing_ok=True)

    def load(self, state: LearnState) -> Interactions:
        """Return the behaviours of the state's segments, at least one, in the order of event time."""
        found = [each for segment in state.segments for each in read_behaviors(self._folder.behaviors / segment.name)]
        found.sort(key=_event_time)  # equal times in the order of the log
        return interactions_of(found, self._actions)


def _event_time(behavior: UserBehavior) -> EpochMs:
    return behavior.timestamp

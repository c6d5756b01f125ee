"""The job's own functions over an embedded log, without Flink: real profiles, scores, lists and rows, from one thread.

Offsets, epochs and versions are as those of a first attempt. What only a cluster can do, to restore, is not here.
"""

import time
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

import msgspec

from job.replay.log_writer import PartitionWriter, create_log
from job.settings.job_settings import JobSettings
from job.topology.rules import action_table, list_rules, parsing_rules, profile_rules, scoring_rules
from model.bundles.bundle import Bundle
from udfs.elements import Candidates, LoggedBehavior, ModelRef, Swap, TrackedBehavior, with_candidates
from udfs.hashing import stable_hash
from udfs.lists.list_rows import model_swap_row, recommendation_list_row
from udfs.lists.list_rules import Fallbacks
from udfs.lists.user_list import UserList, update
from udfs.log.file_log import FileLog
from udfs.log.log_rows import dead_letter_row
from udfs.log.parsing import DeadLetter, newest_after, parse
from udfs.rows import AttemptRow, RecommendationListRow, Row, to_lines
from udfs.users.behavior_row import user_behavior_row
from udfs.users.profile import UserProfile, apply, snapshot

EPOCH = 1
_POLL_S = 0.005
_RECORDS = 256


class InProcessJob:
    """Follows `settings.log.folder` into tables and a log of lists."""

    def __init__(self, settings: JobSettings, lists: Path, variant: str = "main") -> None:
        from udfs.scoring.scorer import Scorer

        actions = action_table(settings)
        assert settings.scoring.bundle is not None
        bundle = Bundle.load(settings.scoring.bundle)
        self._settings = settings
        self._parsing = parsing_rules(settings, actions)
        self._profiles_by = profile_rules(settings, actions)
        self._lists_by = list_rules(settings, actions)
        self._scorer = Scorer(bundle, replace(scoring_rules(settings, actions), kept_users=0))
        self._model = ModelRef(version=bundle.manifest.version, hash=bundle.hash, variant=variant)
        self._fallbacks = Fallbacks(popular=tuple(item for item, _ in bundle.popularity))
        self._profiles: dict[str, UserProfile] = {}
        self._user_lists: dict[str, UserList] = {}
        self._files = 0
        self._reader = FileLog(settings.log.folder).open()
        partitions = self._reader.partitions()
        create_log(lists, partitions)
        self._out = [PartitionWriter(lists, partition) for partition in range(partitions)]
        self._places = [(0, b"") for _ in range(partitions)]
        self._newest = [0] * partitions
        self._stop = Event()
        self._thread: Thread | None = None
        now_ms = _now_ms()
        self._commit("attempts", [self._attempt(each, now_ms) for each in range(partitions)])
        started = Swap(scorer=0, model=self._model, outcome="started", problem=None, at=now_ms)
        self._commit("model_swaps", [model_swap_row(started, now_ms=now_ms, epoch=EPOCH)])

    def follow_once(self) -> int:
        """Takes what the log holds next; returns how many records."""
        return sum(self._poll(partition) for partition in range(len(self._places)))

    def drain(self) -> None:
        while self.follow_once():
            pass

    def start(self) -> None:
        self._stop.clear()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Like a job that is down: the log is not read until `start`."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def close(self) -> None:
        self.stop()
        self._reader.close()
        for writer in self._out:
            writer.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            if not self.follow_once():
                self._stop.wait(_POLL_S)

    def _poll(self, partition: int) -> int:
        offset, cursor = self._places[partition]
        poll = self._reader.poll(partition, offset, cursor, _RECORDS)
        self._places[partition] = poll.next_offset, poll.cursor
        if not poll.records:
            return 0
        now_ms = _now_ms()
        dead: list[Row] = []
        acted: list[Row] = []
        tracked: list[TrackedBehavior] = []
        for record in poll.records:
            parsed = parse(record, self._parsing, newest_ms=self._newest[partition], now_ms=now_ms)
            if isinstance(parsed, DeadLetter):
                dead.append(dead_letter_row(parsed, now_ms=now_ms, epoch=EPOCH))
                continue
            self._newest[partition] = newest_after(self._newest[partition], parsed)
            seq = self._track(parsed, tracked)
            acted.append(user_behavior_row(parsed, seq, now_ms=now_ms, epoch=EPOCH))
        candidates = self._scorer.score(tracked) if tracked else []
        made = [self._listed(*each, len(tracked)) for each in zip(tracked, candidates, strict=True)]
        for table, rows in (("dead_letters", dead), ("user_behavior", acted), ("recommendation_lists", made)):
            self._commit(table, rows)
        for row in made:
            self._out[stable_hash(row.user_id) % len(self._out)].append([msgspec.json.encode(row)])
        return len(poll.records)

    def _track(self, behavior: LoggedBehavior, tracked: list[TrackedBehavior]) -> int | None:
        profile = self._profiles.setdefault(behavior.user_id, UserProfile())
        before = profile.user_seq
        apply(profile, behavior, self._profiles_by)
        if profile.user_seq == before:
            return None
        tracked.append(snapshot(profile, behavior, self._profiles_by))
        return profile.user_seq

    def _listed(self, tracked: TrackedBehavior, candidates: Candidates, batch: int) -> RecommendationListRow:
        neighbors = self._scorer.disliked_neighbors(tracked.disliked)
        scored = with_candidates(tracked, candidates, neighbors=neighbors, model=0, batch_size=batch)
        user = tracked.behavior.user_id
        made = update(self._user_lists.get(user, UserList()), scored, self._lists_by, self._fallbacks)
        self._user_lists[user] = made
        return recommendation_list_row(
            made, scored, self._lists_by.policy, model=self._model, trend_snapshot=None, now_ms=_now_ms(), epoch=EPOCH
        )

    def _commit(self, table: str, rows: Sequence[Row]) -> None:
        """Writes under a hidden name and renames, as Flink's sink does."""
        if not rows:
            return
        self._files += 1
        folder = self._settings.tables.folder / table / datetime.now(UTC).strftime("dt=%Y-%m-%d/hour=%H")
        folder.mkdir(parents=True, exist_ok=True)
        hidden = folder / f".part-{self._files}.inprogress"
        hidden.write_text(to_lines(rows) + "\n")
        hidden.rename(folder / f"part-{self._files:06d}-0")

    @staticmethod
    def _attempt(partition: int, now_ms: int) -> AttemptRow:
        return AttemptRow(
            log_partition=partition, first_offset=0, parent_epoch=None, generation=1, written_at=now_ms, epoch=EPOCH
        )


def _now_ms() -> int:
    return int(time.time() * 1000)

"""A store of scores on this machine's disk, for questions that the model has answered before.

A key is the hash of all that a score is a function of, so an answer is never wrong, whatever became of the store: one
that is gone or corrupt gives no answers any more. It lives and dies with its worker process.
"""

import logging
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rocksdict import (
    BlockBasedOptions,
    DBCompactionStyle,
    DBCompressionType,
    FifoCompactOptions,
    Options,
    Rdict,
    WriteOptions,
)

from model.bundles.answers import BundleAnswerError, Faults
from model.file_lock import lock, try_lock
from udfs.elements import ScoredBy
from udfs.scoring.hash_index import Ints
from udfs.scoring.inputs import Floats
from udfs.scoring.scoring_rules import CacheRules

_log = logging.getLogger(__name__)
_PREFIX = "recloop-scores-"
_OWNER = "owner.lock"
_KEY_BYTES = 16
_TIME_BYTES = 8
_MEBIBYTE = 1 << 20
_BUFFERS = 8
"""The store consists of so many parts: one is written at once, and the oldest goes first."""
_BLOOM_BITS = 10
"""For each key: about 1 % of the questions that were never asked cost a read from disk."""


class Scores(NamedTuple):
    """The model's answer for one history: items best first, 0 where there was none, and their scores. (K,)."""

    items: Ints
    scores: Floats


class ModelAnswers(NamedTuple):
    """The model's answers to N questions; all have K items.

    Attributes:
        items: best first. (N, K).
        scores: theirs. (N, K).
        faults: the questions whose answer cannot be used, and why.
    """

    items: Ints
    scores: Floats
    faults: Faults


class Answers(NamedTuple):
    """Answers of the model or the cache to N questions.

    Attributes:
        items: best first. (N, K).
        scores: theirs. (N, K).
        scored_by: the source of each: a full pass of the model, or the cache.
        faults: the questions whose answer cannot be used, and why.
    """

    items: Ints
    scores: Floats
    scored_by: list[ScoredBy]
    faults: Faults


Ask = Callable[[list[int]], ModelAnswers]
"""A call of the model with some of the questions, by number."""


class ScoreCache:
    """The store of one worker process; for any number of threads.

    It is bounded by RocksDB's FIFO compaction. The first error closes it: it is logged, and nothing is found from then
    on.

    Attributes:
        folder: its folder, if that could be made.
    """

    def __init__(self, rules: CacheRules, clock: Callable[[], float] = time.time) -> None:
        """Make a new and empty store, and remove those that killed workers left behind."""
        self._max_age_s = rules.max_age_s
        self._clock = clock
        self._store: Rdict | None = None
        self.folder = Path("no folder")
        self._owner: int | None = None
        self._closed = False
        try:
            _remove_orphans()
            draft = Path(tempfile.mkdtemp(prefix=f".{_PREFIX}"))
            owner = os.open(draft / _OWNER, os.O_RDWR | os.O_CREAT, 0o600)
            lock(owner)
            # It gets its name only now: another worker would remove a folder of that name that nobody has locked.
            self.folder, self._owner = draft.rename(draft.with_name(draft.name.removeprefix("."))), owner
            self._store = _open(self.folder / "store", rules.megabytes * _MEBIBYTE)
        except Exception as error:  # rocksdict raises plain ones
            self._give_up(error)

    def answers(self, keys: Sequence[bytes], ask: Ask) -> Answers:
        """Return the answer to each question, from the store or else from the model.

        An answer that cannot be used is not stored, so the question is asked again.
        """
        found = self.find(keys)
        scored_by = [ScoredBy.FULL if answer is None else ScoredBy.CACHE for answer in found]
        faults: dict[int, BundleAnswerError] = {}
        if new := [row for row, each in enumerate(scored_by) if each is ScoredBy.FULL]:
            asked = ask(new)
            answers = [Scores(*each) for each in zip(asked.items, asked.scores, strict=True)]
            faults = {new[number]: fault for number, fault in asked.faults.items()}
            sound = [number for number in range(len(new)) if number not in asked.faults]
            self.keep([keys[new[number]] for number in sound], [answers[number] for number in sound])
            for row, answer in zip(new, answers, strict=True):
                found[row] = answer
        whole = [answer for answer in found if answer is not None]
        return Answers(
            items=np.stack([each.items for each in whole]),
            scores=np.stack([each.scores for each in whole]),
            scored_by=scored_by,
            faults=faults,
        )

    def find(self, keys: Sequence[bytes]) -> list[Scores | None]:
        """Return the stored answers to these questions; None where there is none, or it is too old."""
        if (store := self._store) is None:
            return [None] * len(keys)
        try:
            values = store.get(list(keys))
        except Exception as error:  # rocksdict raises plain ones
            self._give_up(error)
            return [None] * len(keys)
        oldest = int(self._clock() - self._max_age_s)
        found: list[Scores | None] = []
        for value in values:
            if value is None or int.from_bytes(value[:_TIME_BYTES], "little") < oldest:
                found.append(None)
                continue
            # A value is the time, then items and scores: they take 4 bytes per item each, so the rest is halved.
            middle = (len(value) + _TIME_BYTES) // 2
            items = np.frombuffer(value[_TIME_BYTES:middle], np.int32).astype(np.int64)
            found.append(Scores(items=items, scores=np.frombuffer(value[middle:], np.float32)))
        return found

    def keep(self, keys: Sequence[bytes], answers: Sequence[Scores]) -> None:
        """Store the answers; the oldest go when there are too many."""
        if (store := self._store) is None:
            return
        now = int(self._clock()).to_bytes(_TIME_BYTES, "little")
        try:
            for key, answer in zip(keys, answers, strict=True):
                store[key] = now + answer.items.astype(np.int32).tobytes() + answer.scores.tobytes()
        except Exception as error:  # rocksdict raises plain ones
            self._give_up(error)

    def close(self) -> None:
        """Remove the store."""
        self._closed = True
        store, self._store = self._store, None
        owner, self._owner = self._owner, None
        if store is not None:
            store.close()
        if owner is not None:
            os.close(owner)
            shutil.rmtree(self.folder, ignore_errors=True)

    def _give_up(self, error: Exception) -> None:
        if self._closed:  # a call was under way
            return
        self._store = None
        _log.warning("the score cache in %s failed; every history is scored from now on: %s", self.folder, error)


def question_keys(asked_of: str, history: Ints, weight: Floats, age_s: Floats, exclude: Ints) -> list[bytes]:
    """Return a key for each row of the model's inputs; the padding of `exclude`, which other rows decide, is left out.

    Args:
        asked_of: bundle, number of items, device and precision.
        history: (B, L).
        weight: (B, L).
        age_s: (B, L).
        exclude: (B, E).
    """
    start = blake2b(asked_of.encode(), digest_size=_KEY_BYTES)
    keys = []
    for row in range(len(history)):
        question = start.copy()
        for part in (history[row], weight[row], age_s[row], exclude[row][exclude[row] > 0]):
            question.update(part.tobytes())
        keys.append(question.digest())
    return keys


def _open(folder: Path, size: int) -> Rdict:
    fifo, blocks, options = FifoCompactOptions(), BlockBasedOptions(), Options(raw_mode=True)
    fifo.max_table_files_size = size - size // _BUFFERS  # the rest is for the buffer that is not written yet
    blocks.set_bloom_filter(_BLOOM_BITS, block_based=False)
    options.create_if_missing(True)
    options.set_compaction_style(DBCompactionStyle.fifo())
    options.set_fifo_compaction_options(fifo)
    options.set_block_based_table_factory(blocks)
    options.set_compression_type(DBCompressionType.none())
    options.set_write_buffer_size(size // _BUFFERS)
    options.set_keep_log_file_num(1)
    options.set_max_log_file_size(_MEBIBYTE)
    writing = WriteOptions()
    writing.disable_wal = True  # nothing of it outlives the process
    store = Rdict(str(folder), options)
    store.set_write_options(writing)
    return store


def _remove_orphans() -> None:
    """Remove the stores whose worker is gone: the kernel freed their lock."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            owner = os.open(folder / _OWNER, os.O_RDWR)
        except OSError:  # another user's, or one that is being made or removed
            continue
        try:
            if try_lock(owner):
                shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(owner)

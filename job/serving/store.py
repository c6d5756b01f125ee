"""The local store: every user's published list and newest behaviours, and how far each log was read, in RocksDB.

What a poll brought and the position after it are written at once, so a server that is killed at any moment goes on
where it was, and nothing is taken twice. Writing is for one thread, the follower's; any thread reads.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
from rocksdict import Options, Rdict, WriteBatch

from job.serving.errors import ServingError
from job.serving.history import History
from model.closing import Closing
from model.records import ItemId, UserId
from udfs.elements import LoggedBehavior
from udfs.publishing.publication import PublishedList
from udfs.rows import RecommendationListRow
from udfs.trends.trends import decode_sum, encode_sum

Source = Literal["lists", "behaviors"]
_VERSION = b"1"
_VERSION_KEY = b"version"
_LIST, _BEFORE, _HISTORY, _TREND, _POSITION, _LANDMARK = (b"l/", b"p/", b"b/", b"t/", b"at/", b"landmark")
_SIZE_MB = 64

_decode_row = msgspec.json.Decoder(RecommendationListRow).decode
_decode_order = msgspec.json.Decoder(PublishedList).decode
_pack = msgspec.msgpack.Encoder().encode
_unpack_history = msgspec.msgpack.Decoder(History).decode


class ReadTo(msgspec.Struct, array_like=True, frozen=True):
    """The position up to which a partition was read.

    Attributes:
        next_offset: the offset that is read next.
        cursor: the reader's own bytes for the same place.
        newest_ms: newest event time of a partition of behaviours; see `udfs.log.parsing.newest_after`.
    """

    next_offset: int = 0
    cursor: bytes = b""
    newest_ms: int = 0


_unpack_position = msgspec.msgpack.Decoder(ReadTo).decode


class Write:
    """The changes of one poll, which become visible together, at `ListStore.commit`."""

    def __init__(self, store: "ListStore") -> None:
        self._store = store
        self.batch = WriteBatch(raw_mode=True)
        self._lists: dict[bytes, bytes] = {}
        self._histories: dict[bytes, History] = {}

    def offer_list(self, value: bytes) -> PublishedList | None:
        """Take a published list if by the readers' rule it counts, and return it; else None.

        Raises:
            msgspec.DecodeError: the record is no list.
        """
        offered = _decode_order(value)
        key = _LIST + offered.user_id.encode()
        known = self._lists.get(key) or self._store.get(key)
        if known is not None and _decode_order(known).order > offered.order:
            return None
        if known is not None:
            self.batch.put(_BEFORE + key[len(_LIST) :], known)
        self._lists[key] = value
        self.batch.put(key, value)
        return offered

    def add_behavior(self, behavior: LoggedBehavior, event_ids_limit: int) -> bool:
        """Add a behaviour to its user's history; False for a repeated event."""
        key = _HISTORY + behavior.user_id.encode()
        history = self._histories.get(key)
        if history is None:
            history = self._histories[key] = self._store.history_of(behavior.user_id)
        return history.add(behavior, event_ids_limit)

    def set_trends(self, sums: dict[ItemId, float], gone: list[ItemId], landmark_ms: int | None) -> None:
        """Set the sums of items, and remove others."""
        for item_id, total in sums.items():
            self.batch.put(_TREND + item_id.encode(), encode_sum(total))
        for item_id in gone:
            self.batch.delete(_TREND + item_id.encode())
        self.batch.put(_LANDMARK, _pack(landmark_ms))

    def forget_behaviors(self) -> None:
        """Remove all behaviours, trends and positions of the behaviour log: it is another log now."""
        for prefix in (_HISTORY, _TREND, _position_key("behaviors")):
            self.batch.delete_range(prefix, _after(prefix))
        self.batch.delete(_LANDMARK)

    def move(self, source: Source, partition: int, to: ReadTo) -> None:
        """Set the position of a partition."""
        self.batch.put(_position_key(source, partition), _pack(to))

    def finish(self) -> WriteBatch:
        """Return everything as one batch."""
        for key, history in self._histories.items():
            self.batch.put(key, _pack(history))
        return self.batch


class ListStore(Closing):
    """The store of one server process; RocksDB's lock keeps others out."""

    def __init__(self, folder: Path) -> None:
        """Open the store, and make it if there is none.

        Raises:
            ServingError: another process has it open, it is damaged, or of another version.
        """
        folder.mkdir(parents=True, exist_ok=True)
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        options.set_write_buffer_size(_SIZE_MB << 20)
        try:
            self._db: Any = Rdict(str(folder), options)
        except Exception as error:  # rocksdict raises plain ones
            msg = (
                f"the store {folder} cannot be opened: {error}. If another server uses it, give this one its own with "
                "--store; else remove the folder, it is filled again from the published lists"
            )
            raise ServingError(msg) from error
        if self.get(_VERSION_KEY) not in {None, _VERSION}:
            self._db.close()
            msg = f"the store {folder} is of another version: remove the folder, it is filled again"
            raise ServingError(msg)
        self._db.put(_VERSION_KEY, _VERSION)

    def get(self, key: bytes) -> bytes | None:
        """Return a value as it is stored."""
        value: bytes | None = self._db.get(key)
        return value

    def list_of(self, user_id: UserId) -> RecommendationListRow | None:
        """Return the list that counts; None if the user has none."""
        value = self.get(_LIST + user_id.encode())
        return None if value is None else _decode_row(value)

    def list_before(self, user_id: UserId) -> RecommendationListRow | None:
        """Return the list that counted before that one."""
        value = self.get(_BEFORE + user_id.encode())
        return None if value is None else _decode_row(value)

    def history_of(self, user_id: UserId) -> History:
        """Return what is kept of a user's behaviours."""
        value = self.get(_HISTORY + user_id.encode())
        return History() if value is None else _unpack_history(value)

    def behaviors_of(self, user_id: UserId) -> list[LoggedBehavior]:
        """Return a user's newest behaviours, newest first."""
        return self.history_of(user_id).behaviors[::-1]

    def position(self, source: Source, partition: int) -> ReadTo:
        """Return how far a partition was read."""
        value = self.get(_position_key(source, partition))
        return ReadTo() if value is None else _unpack_position(value)

    def users(self) -> Iterator[UserId]:
        """Yield all users with a list, in order of their ids."""
        return (key.decode() for key, _ in self._with_prefix(_LIST))

    def trends(self) -> tuple[dict[ItemId, float], int | None]:
        """Return the sums of trends, and the time that they are relative to."""
        landmark = self.get(_LANDMARK)
        sums = {key.decode(): decode_sum(value) for key, value in self._with_prefix(_TREND)}
        return sums, None if landmark is None else msgspec.msgpack.decode(landmark, type=int | None)

    def begin(self) -> Write:
        """Return an empty set of changes."""
        return Write(self)

    def commit(self, write: Write) -> None:
        """Write changes, all or none of them."""
        self._db.write(write.finish())

    def close(self) -> None:
        """Close the store, and free it for others."""
        self._db.close()

    def _with_prefix(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        for key, value in self._db.items(from_key=prefix):
            if not key.startswith(prefix):
                return
            yield key[len(prefix) :], value


def _position_key(source: Source, partition: int | None = None) -> bytes:
    return _POSITION + f"{source}/".encode() + (b"" if partition is None else b"%d" % partition)


def _after(prefix: bytes) -> bytes:
    """Return the key that follows all keys with a prefix."""
    return prefix[:-1] + bytes([prefix[-1] + 1])

"""The model's states of the users that were scored last, so that a user's next behaviour costs the model one step.

The history and actions that a state was made from are kept beside it, byte by byte: a history goes on from a state if
it is that state's history and at most one item more. So a state is never used wrongly, whatever happened: a behaviour
that is repeated, left out or out of order, a block that left the history, a job that fell back to an older checkpoint.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from sys import getsizeof
from threading import Lock
from typing import NamedTuple, Protocol

import numpy as np

from udfs.elements import TrackedBehavior
from udfs.scoring.hash_index import Ints
from udfs.scoring.inputs import Floats

_ITEM_BYTES = 8
_USER_BYTES = 320
"""Python's memory for a user besides the texts and arrays: a dictionary's entry, a tuple and two integers."""


class _Made(Protocol):
    """The source of a state: the fields of `TrackedBehavior` that it is made from."""

    @property
    def history(self) -> bytes: ...
    @property
    def actions(self) -> bytes: ...


class _Kept(NamedTuple):
    """A user's state: the history and actions it was made from, and its slot."""

    history: bytes
    actions: bytes
    slot: int


class Plan(NamedTuple):
    """The plan by which the states of a batch are made; rows are behaviours.

    Attributes:
        full: rows that need a full pass, rising.
        from_kept: rows that begin with a kept state, and its slot. (2, N).
        waves: (rows, rows whose state they go on from), wave by wave: no wave needs a later one. (2, N) each.
        added: packed hash of the item that each row adds to the state it goes on from; empty if it adds none.
    """

    full: Ints
    from_kept: Ints
    waves: list[Ints]
    added: list[bytes]


class Room:
    """The memory that kept states may take, in bytes, and the count of what they take; for any number of threads."""

    def __init__(self, size: float) -> None:
        self.size = size
        self._taken = 0
        self._lock = Lock()

    def take(self, count: int) -> None:
        """Take so many bytes more; give them back where the count is negative."""
        with self._lock:
            self._taken += count

    @property
    def is_over(self) -> bool:
        """Return whether more is taken than there is."""
        return self._taken > self.size


def users_in(room: Room, state_width: int, history_length: int) -> int:
    """Return the most users whose states fit into the room, if their histories are empty."""
    return int(room.size // (_array_bytes(state_width, history_length) + _USER_BYTES))


def _array_bytes(state_width: int, history_length: int) -> int:
    """Return the bytes of a user's arrays: the state as float32, and the known items as int32."""
    return 4 * (state_width + history_length)


class KeptStates:
    """The states of at most so many users; the one that was scored longest ago goes first.

    Only one thread at a time may use it. The room may be shared with others, which have their own threads.
    """

    def __init__(self, users: int, state_width: int, history_length: int, room: Room) -> None:
        self._history_bytes = history_length * _ITEM_BYTES
        self._array_bytes = _array_bytes(state_width, history_length)
        self._room = room
        self._users: OrderedDict[str, _Kept] = OrderedDict()
        self._unused = list(range(users))
        # The system gives pages only as they are written.
        self._states = np.zeros((users, state_width), dtype=np.float32)
        self._histories = np.zeros((users, history_length), dtype=np.int32)

    def plan(self, tracked: Sequence[TrackedBehavior]) -> Plan:
        """Plan each behaviour's state: from a kept one, from that of a behaviour before it, or by a full pass."""
        newest: dict[str, int] = {}
        # Wave 0 is the full passes. Each later wave goes on from states that are there by then: wave 1 from those of
        # wave 0 and from kept ones, which `from_kept` puts into the rows themselves; wave n from those of wave n - 1.
        wave, source = [0] * len(tracked), list(range(len(tracked)))
        added: list[bytes] = [b""] * len(tracked)
        from_kept: list[tuple[int, int]] = []
        for row, each in enumerate(tracked):
            earlier = newest.get(each.behavior.user_id)
            newest[each.behavior.user_id] = row
            before: _Made | None = self._users.get(each.behavior.user_id) if earlier is None else tracked[earlier]
            if before is None or not self._goes_on(before, each):
                continue
            added[row] = each.history[len(before.history) :]
            if earlier is not None:
                wave[row], source[row] = wave[earlier] + 1, earlier
            elif isinstance(before, _Kept):
                wave[row] = 1
                from_kept.append((row, before.slot))
        numbers, sources = np.array(wave), np.array(source)
        rows_of = [np.flatnonzero(numbers == number) for number in range(numbers.max() + 1)]
        return Plan(
            full=rows_of[0],
            from_kept=np.array(from_kept, dtype=np.int64).reshape(-1, 2).T,
            waves=[np.stack([rows, sources[rows]]) for rows in rows_of[1:]],
            added=added,
        )

    def _goes_on(self, before: _Made, after: TrackedBehavior) -> bool:
        """Return whether `after` is the same history, or that with one item more, and the model sees all of it."""
        return (
            len(after.history) - len(before.history) <= _ITEM_BYTES
            and len(after.history) <= self._history_bytes
            and after.history.startswith(before.history)
            and after.actions.startswith(before.actions)
        )

    def read(self, slots: Ints) -> tuple[Floats, Ints]:
        """Return the states in these slots, and the known items they were made from. (N,) -> (N, S), (N, L)."""
        return self._states[slots], self._histories[slots].astype(np.int64)

    def keep(self, tracked: Sequence[TrackedBehavior], states: Floats, histories: Ints) -> None:
        """Keep each user's newest state, unless no history can go on from it. (B, S), (B, L)."""
        last = {each.behavior.user_id: row for row, each in enumerate(tracked)}
        rows = [row for row in last.values() if len(tracked[row].history) <= self._history_bytes]
        self.forget(last)
        rows = rows[-len(self._states) :]
        while len(self._unused) < len(rows):
            self._forget_oldest()
        slots = [self._unused.pop() for _ in rows]
        self._states[slots], self._histories[slots] = states[rows], histories[rows]
        # Users come last, so that none is ever found with a state that is not there yet.
        for row, slot in zip(rows, slots, strict=True):
            each = tracked[row]
            kept = _Kept(history=each.history, actions=each.actions, slot=slot)
            self._users[each.behavior.user_id] = kept
            self._room.take(self._bytes_of(each.behavior.user_id, kept))
        while self._room.is_over and self._users:
            self._forget_oldest()

    def forget(self, users: Iterable[str]) -> None:
        """Forget the states of these users, where they are kept."""
        for user in users:
            if (kept := self._users.pop(user, None)) is not None:
                self._free(user, kept)

    def close(self) -> None:
        """Forget all states: the room is for others."""
        self.forget(list(self._users))

    def _forget_oldest(self) -> None:
        self._free(*self._users.popitem(last=False))

    def _free(self, user: str, kept: _Kept) -> None:
        self._unused.append(kept.slot)
        self._room.take(-self._bytes_of(user, kept))

    def _bytes_of(self, user: str, kept: _Kept) -> int:
        texts = getsizeof(user) + getsizeof(kept.history) + getsizeof(kept.actions)
        return self._array_bytes + _USER_BYTES + texts

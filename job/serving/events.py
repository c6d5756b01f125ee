"""The changes that the follower finds, broadcast to everyone who waits for them in the event loop."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import msgspec

from model.records import UserId

_KEPT = 1_000
"""Most events that wait for one subscriber; beyond, the oldest go."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One change.

    Attributes:
        kind: a new list, a behaviour that was read, or a record that is none.
        user_id: whose; None of a dead letter.
        payload: JSON: the list's row as it was published, the behaviour, or the dead letter.
        at_ms: the time at which it was found, epoch ms.
    """

    kind: Literal["list", "behavior", "dead_letter"]
    user_id: UserId | None
    payload: bytes
    at_ms: int = msgspec.field(default_factory=lambda: int(time.time() * 1000))


class Changes:
    """The events of one subscriber, as an asynchronous iterator that ends with the server.

    Attributes:
        missed: number of events that were dropped because it read too slowly.
        over: whether the server ends, so that no more will come.
    """

    def __init__(self, user_id: UserId | None) -> None:
        self.missed = 0
        self.over = False
        self._user_id = user_id
        self._events: deque[Event] = deque()
        self._arrived = asyncio.Event()

    def offer(self, event: Event) -> None:
        """Take an event, if it is one that was subscribed to."""
        if self._user_id is not None and event.user_id != self._user_id:
            return
        self._events.append(event)
        if len(self._events) > _KEPT:
            self._events.popleft()
            self.missed += 1
        self._arrived.set()

    def finish(self) -> None:
        """Wake whoever waits, as no more will come."""
        self.over = True
        self._arrived.set()

    async def wait(self) -> None:
        """Return once there is an event, or none will come."""
        await self._arrived.wait()

    def take(self) -> list[Event]:
        """Return all events that are there, and forget them."""
        taken = list(self._events)
        self._events.clear()
        self._arrived.clear()
        return taken

    async def __aiter__(self) -> AsyncIterator[Event]:
        while not self.over:
            await self.wait()
            for event in self.take():
                yield event


class Events:
    """A broadcast from the follower's thread to the subscribers of one event loop.

    Subscribers to one user are kept apart, so that many of them cost nothing where others change.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._of_all: set[Changes] = set()
        self._of_user: dict[UserId, set[Changes]] = {}

    def begin(self) -> None:
        """Take the running loop as the one whose subscribers are told."""
        self._loop = asyncio.get_running_loop()

    def end(self) -> None:
        """Broadcast nothing from now on."""
        self._loop = None

    def finish(self) -> None:
        """End what all subscribers read; called in the loop, when the server is about to end."""
        for changes in (*self._of_all, *(each for group in self._of_user.values() for each in group)):
            changes.finish()

    def publish(self, events: list[Event]) -> None:
        """Broadcast events, from any thread."""
        if events and (loop := self._loop) is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._offer, events)

    @contextmanager
    def watch(self, user_id: UserId | None = None) -> Iterator[Changes]:
        """Yield the changes of a user, or of all, from now on until the block ends."""
        changes = Changes(user_id)
        group = self._of_all if user_id is None else self._of_user.setdefault(user_id, set())
        group.add(changes)
        try:
            yield changes
        finally:
            group.discard(changes)
            if user_id is not None and not group:
                self._of_user.pop(user_id, None)

    @property
    def subscribers(self) -> int:
        """The number of those who wait for changes."""
        return len(self._of_all) + sum(map(len, self._of_user.values()))

    def _offer(self, events: Iterable[Event]) -> None:
        for event in events:
            for changes in self._of_all:
                changes.offer(event)
            if event.user_id is not None:
                for changes in self._of_user.get(event.user_id, ()):
                    changes.offer(event)

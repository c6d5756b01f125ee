"""The live state that everybody who watches shares: one follower of changes, and one poll of each source.

Changes are followed all the time, which costs microseconds each. The job and the tables are asked only while somebody
watches, and the tables the less often the longer they take.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from itertools import chain
from typing import Any, NamedTuple

from job.page.backend import Backend, Change, PagePlaces
from job.page.drill_verdict import read_verdict
from job.page.errors import PageError
from job.page.helper import HelperProcess
from job.page.job_watch import JobView, read_job
from job.page.live_window import LiveWindow, Point
from job.page.views import Shown, behavior_view, feed_view, freshness_ms, list_view

_FEED = 10
"""The most behaviours and lists of one tick; people read no more."""
_RECENT = 12
_TICK_S = 0.5
_SERVED_S = 1.0
_JOB_S = 2.0
_FACTS_S = 10.0
_AB_S = 30.0
_SHARE, _JOB_SHARE = 20, 3
"""A source that took t seconds is asked again after 20 t at the earliest, so it is at work 5 % of the time at most; the
job, which is mostly waited for, after 3 t."""
_LIVE_MS = 10_000
"""What was appended or made longer ago is read by a server that catches up: it is not counted as happening now."""
_TABLES_TIMEOUT_S = 60.0
_QUEUED = 100
_END = ("end", None)
_OF_USERS = ("served", "job")
"""The sources that a user's page shows."""
_log = logging.getLogger(__name__)

Event = tuple[str, Any]
"""The name of an event, and its data."""


class _Numbered(NamedTuple):
    number: int
    view: Shown


class Hub:
    """The window of the last minutes, the newest changes, and what the sources said last."""

    def __init__(self, backend: Backend, places: PagePlaces, tables: HelperProcess | None) -> None:
        self._backend = backend
        self._places = places
        self._tables = tables
        self._window = LiveWindow()
        self._behaviors: deque[_Numbered] = deque(maxlen=_FEED)
        self._lists: deque[_Numbered] = deque(maxlen=_FEED)
        self._recent: dict[str, None] = {}
        self._count = 0
        self._users: dict[str, set[asyncio.Queue[Event]]] = {}
        self._said: dict[str, _Numbered] = {}
        self._watchers = 0
        self._polls: list[asyncio.Task[None]] = []
        self._over = asyncio.Event()

    @property
    def recent_users(self) -> list[str]:
        """The users who acted last, the newest first."""
        return list(reversed(self._recent))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow changes during the block."""
        follower = _begun(self._follow())
        try:
            yield
        finally:
            tasks = [follower, *self._polls]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def end_streams(self) -> None:
        """End all streams of events, as the server is about to end and waits for them."""
        self._over.set()
        for queue in chain.from_iterable(self._users.values()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(_END)

    async def live(self) -> AsyncIterator[Event]:
        """Yield the events of Live: a tick twice a second, and what the sources say, when it changes."""
        numbers: dict[str, int] = {}
        counted, since_s = 0, 0
        with self._watched():
            while not self._over.is_set():
                points = self._window.points(_now_ms(), since_s)
                since_s = points[-1][0] if points else since_s
                yield "tick", self._tick(counted, points)
                counted = self._count
                for event in self._news(numbers, self._said):
                    yield event
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._over.wait(), _TICK_S)

    async def of_user(self, user_id: str) -> AsyncIterator[Event]:
        """Yield a user's lists as they are published, and the states of the job and the server when they change."""
        queue: asyncio.Queue[Event] = asyncio.Queue(_QUEUED)
        self._users.setdefault(user_id, set()).add(queue)
        numbers: dict[str, int] = {}
        try:
            with self._watched():
                while not self._over.is_set():
                    for event in self._news(numbers, _OF_USERS):
                        yield event
                    try:
                        yield await asyncio.wait_for(queue.get(), _JOB_S)
                    except TimeoutError:
                        yield "beat", None
        finally:
            self._users[user_id].discard(queue)
            if not self._users[user_id]:
                del self._users[user_id]

    def _news(self, numbers: dict[str, int], sources: Iterable[str]) -> Iterator[Event]:
        """Yield what sources said that a watcher does not have yet, and note in `numbers` that it has."""
        for name in tuple(sources):
            said = self._said.get(name)
            if said is not None and numbers.get(name) != said.number:
                numbers[name] = said.number
                yield name, said.view

    async def _follow(self) -> None:
        async with self._backend.changes() as changes:
            async for change in changes:
                self._take(change)

    def _take(self, change: Change) -> None:
        self._count += 1
        now_ms, row = _now_ms(), change.record
        if change.kind == "behavior":
            if now_ms - (row.get("appended_at") or now_ms) < _LIVE_MS:
                self._window.add_behavior(now_ms)
            self._behaviors.append(_Numbered(self._count, {**behavior_view(row, self._backend), "at": now_ms}))
            self._remember(row["user_id"])
            return
        if now_ms - row["written_at"] < _LIVE_MS:
            self._window.add_list(now_ms, freshness_ms(row))
        self._lists.append(_Numbered(self._count, feed_view(row, self._backend)))
        for queue in self._users.get(row["user_id"], ()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(("list", list_view(row, self._backend)))

    def _remember(self, user_id: str) -> None:
        self._recent.pop(user_id, None)
        self._recent[user_id] = None
        if len(self._recent) > _RECENT:
            del self._recent[next(iter(self._recent))]

    def _tick(self, after: int, points: list[Point]) -> Shown:
        newest = {"behaviors": self._behaviors, "lists": self._lists}
        views = {name: [each.view for each in reversed(feed) if each.number > after] for name, feed in newest.items()}
        return {"points": points, **views}

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Have the sources polled during the block; the polls of all watchers are the same."""
        self._watchers += 1
        if not self._polls:
            sources = [("served", self._served, _SERVED_S, _SHARE), ("job", self._job, _JOB_S, _JOB_SHARE)]
            sources += [("drill", self._drill, _FACTS_S, _SHARE)]
            sources += [("facts", self._facts, _FACTS_S, _SHARE), ("ab", self._ab, _AB_S, _SHARE)]
            self._polls = [_begun(self._poll(*source)) for source in sources]
        try:
            yield
        finally:
            self._watchers -= 1
            if not self._watchers:
                for task in self._polls:
                    task.cancel()
                self._polls = []

    async def _poll(self, name: str, source: Callable[[], Awaitable[Shown]], every_s: float, share: int) -> None:
        while True:
            began = time.monotonic()
            view = await source()
            before = self._said.get(name)
            if before is None or before.view != view:
                self._said[name] = _Numbered(0 if before is None else before.number + 1, view)
            await asyncio.sleep(max(every_s, share * (time.monotonic() - began)))

    async def _served(self) -> Shown:
        return {"problem": self._backend.problem()}

    async def _job(self) -> Shown:
        view = await asyncio.to_thread(read_job, self._places.job, self._places.settings)
        return job_shown(view)

    async def _drill(self) -> Shown:
        return await asyncio.to_thread(read_verdict, self._places.drill)

    async def _facts(self) -> Shown:
        return await self._of_tables("facts")

    async def _ab(self) -> Shown:
        return await self._of_tables("ab")

    async def _of_tables(self, kind: str) -> Shown:
        if self._tables is None:
            return {"problem": "This machine does not see the job's tables."}
        try:
            answer: Shown = await self._tables.ask(kind, timeout_s=_TABLES_TIMEOUT_S)
        except PageError as error:
            return {"problem": str(error)}
        return answer


def job_shown(view: JobView) -> Shown:
    """Return the state of the job as scripts get it."""
    names = [name for name in JobView.__slots__ if name != "checkpoints"]
    checkpoints = [{"at": each.at, "duration_ms": each.duration_ms} for each in view.checkpoints]
    return {**{name: getattr(view, name) for name in names}, "checkpoints": checkpoints}


def _begun(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Return a task whose failure is logged when it happens, as nobody awaits it."""
    task = asyncio.create_task(work)
    task.add_done_callback(_report)
    return task


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("the page follows %s no longer", task.get_name(), exc_info=error)


def _now_ms() -> int:
    return int(time.time() * 1000)

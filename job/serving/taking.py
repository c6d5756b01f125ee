"""Behaviours that clients send: checked as the job would, known events left out, and appended to the log."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from job.serving.answers import Accepted, BehaviorIn, Position, Recommendations
from job.serving.appending import LogAppender
from job.serving.history import Place
from job.serving.meters import Meters
from job.serving.problems import Problem
from job.serving.store import ListStore
from model.actions import Kind
from model.datasets.json_lines import encode_behavior
from model.records import ItemId, UserBehavior, UserId
from udfs.log.parsing import DeadLetter, LogRecord, ParsingRules, parse

_SERVED = 20_000
"""Most answers that are remembered, for impressions of all that was served."""
_FAULTS = 100
"""Most faults of one request that are named."""
_RECENT = 50_000
"""Most events appended here that are remembered until the follower has read them."""


class ServedLists:
    """The newest answers, by request id: what each showed to whom."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, tuple[str, tuple[str, ...]]] = OrderedDict()

    def add(self, answer: Recommendations) -> None:
        """Remember an answer, and forget the oldest."""
        self._items[answer.request_id] = (answer.user_id, tuple(each.item_id for each in answer.items))
        if len(self._items) > _SERVED:
            self._items.popitem(last=False)

    def items(self, request_id: str | None, user_id: str) -> tuple[str, ...] | None:
        """Return the items that a user was served in an answer; None where that is not known."""
        served = self._items.get(request_id or "")
        return served[1] if served is not None and served[0] == user_id else None


class TakeBehaviors:
    """The path of sent behaviours into the log."""

    def __init__(
        self,
        store: ListStore,
        appender: LogAppender,
        rules: ParsingRules,
        *,
        served: ServedLists,
        newest_ms: Callable[[UserId], int],
        meters: Meters,
    ) -> None:
        self._store = store
        self._appender = appender
        self._rules = rules
        self._served = served
        self._newest_ms = newest_ms
        self._meters = meters
        self._recent: OrderedDict[_Event, Place] = OrderedDict()
        self._turn = asyncio.Lock()

    async def take(self, behaviors: Sequence[BehaviorIn]) -> Accepted:
        """Append behaviours in their order, and return the place of each; an event that is there is not appended again.

        Raises:
            Problem: some are no behaviours, so nothing was appended.
            AppendError: the log could not be written.
        """
        wanted = self._checked(behaviors)
        async with self._turn:  # an event that is sent twice at once is appended once
            return await self._append(wanted)

    async def _append(self, wanted: list[UserBehavior]) -> Accepted:
        known: dict[_Event | None, Place | None] = {}
        fresh: list[int] = []
        for index, behavior in enumerate(wanted):
            if (event := _event(behavior)) is None:
                fresh.append(index)
            elif event not in known:
                known[event] = self._place_of(event)
                if known[event] is None:
                    fresh.append(index)
        appended = dict(zip(fresh, await self._appender.append([wanted[i] for i in fresh]), strict=True))
        for index, place in appended.items():
            if (event := _event(wanted[index])) is not None:
                known[event] = place
                self._remember(event, place)
        self._meters.appended += len(appended)
        self._meters.duplicates += len(wanted) - len(appended)
        return _accepted([(appended.get(i) or known[_event(each)], i in appended) for i, each in enumerate(wanted)])

    def _checked(self, behaviors: Sequence[BehaviorIn]) -> list[UserBehavior]:
        """Return the behaviours to append, in order.

        Raises:
            Problem: some are none.
        """
        now_ms = int(time.time() * 1000)
        wanted: list[UserBehavior] = []
        faults: list[str] = []
        for number, sent in enumerate(behaviors):
            found = self._expanded(sent, now_ms)
            if not found:
                faults.append(
                    f"behaviors[{number}]: item_id is missing, and of request_id nothing is known to be served"
                )
            for behavior in found:
                if (fault := self._fault(behavior, now_ms)) is not None:
                    faults.append(f"behaviors[{number}]: {fault}")
                    break
            wanted += found
        if faults:
            detail = faults[0] if len(faults) == 1 else f"{len(faults)} of {len(behaviors)} are no behaviours"
            raise Problem(422, f"{detail}; nothing was appended", errors=faults[:_FAULTS])
        return wanted

    def _expanded(self, sent: BehaviorIn, now_ms: int) -> list[UserBehavior]:
        """Return the behaviour; of an impression without an item, one for each item that was served."""
        if sent.item_id is not None:
            return [_behavior(sent, sent.item_id, now_ms)]
        action = self._rules.actions.get(sent.action)
        if action is None or action.kind is not Kind.EXPOSURE:
            return []
        served = self._served.items(sent.request_id, sent.user_id) or ()
        return [
            _behavior(sent, item_id, now_ms, position=position, event_id=f"{sent.request_id}:{position}")
            for position, item_id in enumerate(served)
        ]

    def _fault(self, behavior: UserBehavior, now_ms: int) -> str | None:
        """Return why the job would not take a behaviour, if it would not."""
        raw = encode_behavior(behavior)
        record = LogRecord(partition=0, offset=0, raw=raw, size=len(raw), appended_at=now_ms)
        parsed = parse(record, self._rules, newest_ms=self._newest_ms(behavior.user_id), now_ms=now_ms)
        return f"{parsed.reason.value}: {parsed.detail}" if isinstance(parsed, DeadLetter) else None

    def _place_of(self, event: "_Event") -> Place | None:
        """Return where an event was appended, if that is still remembered here or by the store."""
        return self._recent.get(event) or self._store.history_of(event[0]).place_of(event[1])

    def _remember(self, event: "_Event", place: Place) -> None:
        self._recent[event] = place
        if len(self._recent) > _RECENT:
            self._recent.popitem(last=False)


_Event = tuple[UserId, str]


def _event(behavior: UserBehavior) -> _Event | None:
    return None if behavior.event_id is None else (behavior.user_id, behavior.event_id)


def _behavior(
    sent: BehaviorIn, item_id: ItemId, now_ms: int, *, position: int | None = None, event_id: str | None = None
) -> UserBehavior:
    return UserBehavior(
        user_id=sent.user_id,
        action=sent.action,
        item_id=item_id,
        timestamp=now_ms if sent.timestamp is None else sent.timestamp,
        event_id=sent.event_id if event_id is None else event_id,
        request_id=sent.request_id,
        position=sent.position if position is None else position,
    )


def _accepted(places: Sequence[tuple[Place | None, bool]]) -> Accepted:
    positions = [
        Position(partition=place.partition, offset=place.offset, duplicate=not is_new)
        for place, is_new in places
        if place is not None  # every event has one by now
    ]
    last = positions[-1]
    return Accepted(positions=positions, after=f"{last.partition}:{last.offset}")

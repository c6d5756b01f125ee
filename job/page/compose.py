"""The page of a server: its backend is the server's store, events, catalogue and way into the log."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from job.page.backend import Change, PagePlaces, Place, Record
from job.page.errors import PageError
from job.page.job_watch import JobPlaces
from job.page.page import Page
from job.serving.answers import BehaviorIn
from job.serving.health import health
from job.serving.problems import Problem
from job.serving.serving import Serving
from udfs.rows import RecommendationListRow

_FALLBACK_ITEMS = 10
_decode = msgspec.json.Decoder(dict[str, Any]).decode
_decode_list = msgspec.json.Decoder(RecommendationListRow).decode


def page_of(serving: Serving) -> Page:
    """Return the page of a server."""
    job, settings = serving.job, serving.settings
    places = PagePlaces(
        job=JobPlaces(settings.cluster, None, settings.job_name),
        settings=job,
        tables=job.tables.folder,
        registry=settings.registry if job.models.url is None else str(job.models.url),
        bundle=job.scoring.bundle or settings.bundle,
        cache=job.models.cache,
        drill=settings.drill,
        keys=settings.read_keys(),
    )
    return Page(ServingBackend(serving), places)


class ServingBackend:
    """A server as the page's backend; see `job.page.backend.Backend`."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._folded = {item: title.casefold() for item, title in serving.catalogue.titles.items()}

    def list_of(self, user_id: str) -> Record | None:
        """Return a user's newest list; None if the user has none."""
        return self._shown(self._serving.store.list_of(user_id))

    def list_before(self, user_id: str) -> Record | None:
        """Return the list before it; None if it is not known."""
        return self._shown(self._serving.store.list_before(user_id))

    def fallback(self, user_id: str) -> Record:
        """Return what a user without a list is given."""
        answer = self._serving.recommend(user_id, n=_FALLBACK_ITEMS)
        return {
            "items": [each.item_id for each in answer.items],
            "reasons": [each.reason for each in answer.items],
            "source": answer.source,
        }

    def behaviors_of(self, user_id: str, limit: int) -> Sequence[Record]:
        """Return a user's newest behaviours, the newest first."""
        return [msgspec.structs.asdict(each) for each in self._serving.store.behaviors_of(user_id)[:limit]]

    async def append(self, behavior: Record) -> Place:
        """Append a behaviour to the log; see `Backend.append`."""
        try:
            taken = await self._serving.take.take([msgspec.convert(behavior, BehaviorIn)])
        except Problem as problem:
            raise PageError(problem.detail) from problem
        return Place(taken.positions[0].partition, taken.positions[0].offset)

    def problem(self) -> str | None:
        """Return why what the server knows is not up to date, in a sentence; None if it is."""
        return health(self._serving.follower.state(), int(time.time() * 1000)).problem

    @asynccontextmanager
    async def changes(self) -> AsyncIterator[AsyncIterator[Change]]:
        """Follow what is published and appended from now on."""
        with self._serving.events.watch() as events:

            async def changes() -> AsyncIterator[Change]:
                async for event in events:
                    if event.kind == "behavior":
                        yield Change("behavior", _decode(event.payload))
                    elif event.kind == "list" and (row := self._shown(_list_row(event.payload))) is not None:
                        yield Change("list", row)

            yield changes()

    def title(self, item_id: str) -> str:
        """Return an item's title; empty if it has none."""
        return self._serving.catalogue.title(item_id) or ""

    def group(self, item_id: str) -> str:
        """Return an item's group; empty if it has none."""
        return self._serving.catalogue.group(item_id) or ""

    def search(self, text: str, limit: int) -> Sequence[str]:
        """Return the item with that id, and items whose title contains the text, those that begin with it first."""
        wanted = text.casefold()
        found = [item for item, title in self._folded.items() if wanted in title]
        found.sort(key=lambda item: (not self._folded[item].startswith(wanted), self._folded[item]))
        exact = [text] if text in self._folded else []
        return [*exact, *(item for item in found if item != text)][:limit]

    def _shown(self, row: RecommendationListRow | None) -> Record | None:
        """Return a list without withdrawn items, which nobody is shown, whatever list they are in."""
        if row is None:
            return None
        withdrawn = self._serving.rules.withdrawn()
        columns = msgspec.structs.asdict(row)
        if withdrawn:
            kept = [place for place, item in enumerate(row.items) if item not in withdrawn]
            arrays = ("items", "scores", "reasons", "propensities")
            columns |= {name: [columns[name][place] for place in kept] for name in arrays if columns[name] is not None}
        return columns


def _list_row(payload: bytes) -> RecommendationListRow | None:
    """Return a published list's row; None if it lacks columns, as one that another program published may."""
    try:
        return _decode_list(payload)
    except msgspec.DecodeError:
        return None

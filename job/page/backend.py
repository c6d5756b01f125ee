"""The parts of the server that the page needs."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from job.page.job_watch import JobPlaces
from job.settings.job_settings import JobSettings
from model.records import ItemId, UserId

Record = Mapping[str, Any]
"""A row of a table, or a part of one, by column."""


class Change(NamedTuple):
    """A list that was published, or a behaviour that was appended.

    Attributes:
        kind: which of the two.
        record: the columns of recommendation_lists, or user_id, action, item_id, timestamp, log_partition, log_offset.
    """

    kind: Literal["list", "behavior"]
    record: Record


class Place(NamedTuple):
    """A place in the log."""

    log_partition: int
    log_offset: int


class Backend(Protocol):
    """The server: its lists, the log, and what is known of items."""

    def list_of(self, user_id: UserId) -> Record | None:
        """Return a user's newest list, the columns of recommendation_lists; None if the user has none."""

    def list_before(self, user_id: UserId) -> Record | None:
        """Return the list before it; None if it is not known."""

    def fallback(self, user_id: UserId) -> Record:
        """Return what a user without a list is given: items, scores, reasons and source."""

    def behaviors_of(self, user_id: UserId, limit: int) -> Sequence[Record]:
        """Return a user's newest behaviours, the newest first."""

    async def append(self, behavior: Record) -> Place:
        """Append a behaviour to the log.

        Raises:
            RecloopError: it is none, or the log does not take it; the text says why.
        """

    def problem(self) -> str | None:
        """Return why what the server knows is not up to date, in a sentence; None if it is."""

    def changes(self) -> AbstractAsyncContextManager[AsyncIterator[Change]]:
        """Follow what is published and appended from now on; one who is slow misses the oldest."""

    def title(self, item_id: ItemId) -> str:
        """Return an item's title; empty if it has none."""

    def group(self, item_id: ItemId) -> str:
        """Return an item's group; empty if it has none."""

    def search(self, text: str, limit: int) -> Sequence[ItemId]:
        """Return items whose id is, or whose title contains, the text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PagePlaces:
    """The places that the page shows, and the keys it asks for.

    Attributes:
        job: where the job is looked for.
        settings: the settings that the job was deployed with, resolved.
        tables: the tables folder; None where this machine has none.
        registry: folder or URL of the registry; None where there is none.
        bundle: a bundle's folder that What if offers beside the registry's.
        cache: where bundles of the registry are copied to.
        drill: the folder of the last drill.
        keys: whoever reads, sends behaviours or moves pointers needs one of them; without any, everyone reads and
            sends, and nobody moves pointers.
    """

    job: JobPlaces
    settings: JobSettings
    tables: Path | None
    registry: str | None
    bundle: Path | None
    cache: Path
    drill: Path
    keys: tuple[str, ...] = field(default=(), repr=False)

"""The memory that the server has of a user's behaviours: the newest ones, as the job applies them. Pure."""

from array import array
from typing import Final

import msgspec

from model.ids import HASH_TYPECODE, id_hash, is_new_event
from udfs.elements import LoggedBehavior

KEPT: Final = 100
"""Behaviours kept of a user."""


class Place(msgspec.Struct, array_like=True, frozen=True):
    """A record's place in the log."""

    partition: int
    offset: int


class History(msgspec.Struct, array_like=True):
    """The newest behaviours of a user.

    Attributes:
        behaviors: those that the job applies, oldest first.
        event_ids: packed hashes of the newest event ids, oldest first.
        places: where each of these was first.
        trimmed: whether older behaviours were dropped.
    """

    behaviors: list[LoggedBehavior] = []
    event_ids: bytes = b""
    places: list[Place] = []
    trimmed: bool = False

    def add(self, behavior: LoggedBehavior, event_ids_limit: int) -> bool:
        """Add a behaviour, and return False for one whose event id was there: the job drops it too."""
        if behavior.event_id is not None:
            known = array(HASH_TYPECODE, self.event_ids)
            if not is_new_event(known, behavior.event_id, event_ids_limit):
                return False
            self.event_ids = known.tobytes()
            self.places.append(Place(behavior.log_partition, behavior.log_offset))
            del self.places[: -len(known)]
        self.behaviors.append(behavior)
        if len(self.behaviors) > KEPT:
            del self.behaviors[0]
            self.trimmed = True
        return True

    def place_of(self, event_id: str) -> Place | None:
        """Return where an event was first; None if it is not among the newest."""
        known = array(HASH_TYPECODE, self.event_ids)
        event = id_hash(event_id)
        return self.places[known.index(event)] if event in known else None

    def needed_offset(self, after: Place) -> int | None:
        """Return the offset that a list must have seen to have seen everything of the user up to a place.

        None if nothing before that place changed the user's list: it was a duplicate or no behaviour.
        """
        offsets = (each.log_offset for each in self.behaviors if each.log_partition == after.partition)
        newest = max((offset for offset in offsets if offset <= after.offset), default=None)
        return after.offset if newest is None and self.trimmed else newest

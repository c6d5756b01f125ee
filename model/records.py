"""The domain's three records, and the names their fields use everywhere.

A caller may rely on this: the fields are never renamed or retyped; new ones are optional.
"""

from dataclasses import dataclass

UserId = str
ItemId = str
EpochMs = int
"""Milliseconds since 1970-01-01 UTC."""


@dataclass(frozen=True, slots=True)
class UserBehavior:
    """One event of the behaviour log.

    Attributes:
        user_id: the user who acted; 1 to 256 bytes of UTF-8.
        action: a name of the action table (`model.actions`).
        item_id: the item acted on; 1 to 256 bytes of UTF-8.
        timestamp: event time, epoch milliseconds UTC.
        event_id: names the event; a repeated one is applied once.
        request_id: names the request whose list was shown.
        position: rank in the list that was shown, from 0.
    """

    user_id: UserId
    action: str
    item_id: ItemId
    timestamp: EpochMs
    event_id: str | None = None
    request_id: str | None = None
    position: int | None = None


@dataclass(frozen=True, slots=True)
class PredictionResult:
    """The model's score of one item for one user, on the model's own scale."""

    user_id: UserId
    item_id: ItemId
    score: float


@dataclass(frozen=True, slots=True)
class RecommendationList:
    """The items that a user is shown, best first."""

    user_id: UserId
    items: tuple[ItemId, ...]

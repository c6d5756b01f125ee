"""The API's requests and answers: structs, from which OpenAPI's schemas are made and which the client decodes."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from model.ids import MAX_ID_BYTES
from udfs.log.parsing import Int32

_Id = Annotated[str, Meta(min_length=1, max_length=MAX_ID_BYTES)]


class RecommendedItem(msgspec.Struct, frozen=True, kw_only=True):
    """One place of a list."""

    item_id: Annotated[str, Meta(description="the item")]
    position: Annotated[int, Meta(description="its place in this answer, from 0: send it with impressions and clicks")]
    score: Annotated[float, Meta(description="on the scale of its reason")]
    reason: Annotated[str, Meta(description="why it is there: model, trending, popular, history or because:ITEM")]
    title: Annotated[str | None, Meta(description="as the catalogue has it")] = None
    group: Annotated[str | None, Meta(description="as the catalogue has it")] = None


class Recommendations(msgspec.Struct, frozen=True, kw_only=True):
    """A user's list, as it may be shown now."""

    user_id: Annotated[str, Meta(description="whose list")]
    request_id: Annotated[str, Meta(description="names this answer: send it with impressions and clicks")]
    items: Annotated[list[RecommendedItem], Meta(description="best first")]
    source: Annotated[
        Literal["list", "trending", "popular", "none"],
        Meta(description="'list': the user's own; 'trending', 'popular': one for all others; 'none': no item is known"),
    ]
    scored: Annotated[str | None, Meta(description="the list's source: scored, fallback or rules")] = None
    fallback_reason: Annotated[str | None, Meta(description="why the list has no scores")] = None
    list_version: Annotated[int | None, Meta(description="rises by one a list")] = None
    epoch: Annotated[int | None, Meta(description="of the job's attempt that made the list")] = None
    model_version: Annotated[str | None, Meta(description="version of the bundle that scored")] = None
    model_hash: Annotated[str | None, Meta(description="sha256 of that bundle")] = None
    variant: Annotated[str | None, Meta(description="the user's variant of an A/B test, or the only one")] = None
    made_at: Annotated[int | None, Meta(description="when the list was made, epoch ms")] = None
    age_ms: Annotated[int | None, Meta(description="time since then")] = None
    log_partition: Annotated[int | None, Meta(description="the list has seen the log's partition ...")] = None
    log_offset: Annotated[int | None, Meta(description="... up to this offset")] = None
    removed: Annotated[
        int, Meta(description="items of the list that were left out: withdrawn, excluded, or acted on since")
    ] = 0
    stale: Annotated[
        bool | None, Meta(description="with after=: true if the list has not seen that behaviour yet; else null")
    ] = None


class BehaviorIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A behaviour to append to the log."""

    user_id: Annotated[_Id, Meta(description="who acted")]
    action: Annotated[str, Meta(description="a name of the job's action table, as click or buy")]
    item_id: Annotated[
        _Id | None,
        Meta(description="on which item; may be left out of an impression with request_id: all that was served then"),
    ] = None
    timestamp: Annotated[int | None, Meta(description="event time, epoch ms; now if left out")] = None
    event_id: Annotated[_Id | None, Meta(description="names the event: sent again, it is not appended again")] = None
    request_id: Annotated[_Id | None, Meta(description="request_id of the list that was shown")] = None
    position: Annotated[Int32 | None, Meta(description="place in that list, from 0")] = None


class Batch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Behaviours to append, in this order; all or none are taken."""

    behaviors: list[BehaviorIn]


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """The place of a behaviour in the log."""

    partition: int
    offset: int
    duplicate: Annotated[bool, Meta(description="true if its event_id was there already: this is its first place")] = (
        False
    )


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """Behaviours that the log holds."""

    positions: Annotated[list[Position], Meta(description="in the order of the behaviours")]
    after: Annotated[str, Meta(description="PARTITION:OFFSET of the last one, for after=")]


class SeenBehavior(msgspec.Struct, frozen=True, kw_only=True):
    """A behaviour that the job applies."""

    user_id: str
    action: str
    item_id: str
    title: str | None
    timestamp: int
    event_id: str | None
    request_id: str | None
    position: int | None
    log_partition: int
    log_offset: int
    appended_at: int | None


class Behaviors(msgspec.Struct, frozen=True, kw_only=True):
    """A user's newest behaviours, newest first."""

    user_id: str
    behaviors: list[SeenBehavior]


class CatalogueItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item of a list that is no user's."""

    item_id: str
    title: str | None = None
    group: str | None = None
    strength: Annotated[float | None, Meta(description="of a trend, from 1 for the strongest down to 0")] = None


class Items(msgspec.Struct, frozen=True, kw_only=True):
    """Items, best first."""

    items: list[CatalogueItem]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """The state of the server and of what it follows."""

    ok: bool
    problem: Annotated[str | None, Meta(description="what is wrong, and what to do")] = None
    lists: Annotated[int, Meta(description="published lists read since the start")] = 0
    behaviors: Annotated[int, Meta(description="behaviours read since the start")] = 0
    behind: Annotated[bool, Meta(description="whether more is there to be read at once")] = False
    silent_ms: Annotated[int, Meta(description="for how long a log or topic has not answered")] = 0
    read_at: Annotated[int | None, Meta(description="when everything that was there had last been read, epoch ms")] = (
        None
    )


class ProblemDetails(msgspec.Struct, frozen=True, kw_only=True):
    """A problem, RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: Annotated[list[str], Meta(description="each fault, where there may be several")] = []


ANSWERS = (
    Recommendations,
    Batch,
    BehaviorIn,
    Accepted,
    Behaviors,
    Items,
    Health,
    ProblemDetails,
)
"""All that OpenAPI describes."""

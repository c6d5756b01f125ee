"""The elements that travel between the operators: one carries all behaviours that one poll found for one bucket.

Elements are MessagePack arrays. They are never stored (a checkpoint barrier waits until none is in flight inside
an operator), so their layout may change between releases; state and tables may not.
"""

from array import array
from enum import IntEnum, StrEnum
from typing import Literal

import msgspec

from model.records import UserBehavior


class LoggedBehavior(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A `UserBehavior` and its place in the log.

    Attributes:
        appended_at: time of its appending to the log, epoch ms; None if that is not known.
    """

    user_id: str
    action: str
    item_id: str
    timestamp: int
    event_id: str | None
    request_id: str | None
    position: int | None
    log_partition: int
    log_offset: int
    appended_at: int | None


def without_log(behavior: UserBehavior) -> LoggedBehavior:
    """Return a behaviour as if it were the first record of a log, for use without one."""
    return LoggedBehavior(
        user_id=behavior.user_id,
        action=behavior.action,
        item_id=behavior.item_id,
        timestamp=behavior.timestamp,
        event_id=behavior.event_id,
        request_id=behavior.request_id,
        position=behavior.position,
        log_partition=0,
        log_offset=0,
        appended_at=None,
    )


class TrackedBehavior(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An applied behaviour and its user's profile as it stood right after it.

    Attributes:
        user_seq: number of this behaviour among the user's applied ones, from 1.
        history: packed hashes of the kept history's items, oldest first; at most 99.
        actions: their action codes, one byte each.
        times: their event times, whole epoch seconds, packed (`udfs.users.profile.TIME_TYPECODE`).
        excluded: packed hashes of items that must not be shown (bought, disliked, and seen before the kept history).
        disliked: packed hashes of the newest dislikes, whose neighbours must not be shown either.
        shown: (hash, number of impressions, faded by now) of the items that were shown and not acted on.
    """

    behavior: LoggedBehavior
    user_seq: int
    history: bytes
    actions: bytes
    times: bytes
    excluded: bytes
    disliked: bytes
    shown: list[tuple[int, float]]


class ScoredBy(IntEnum):
    """The method by which candidates were scored."""

    FULL = 0
    """The model read the whole history."""
    STEP = 1
    """The model went on from the kept state of the user's last behaviour."""
    CACHE = 2
    """The model had answered the same question before, and was not asked again."""


class Candidates(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The items the model proposes, best first; the first three are parallel.

    Attributes:
        items: item ids.
        packed_scores: float32 each, on the model's own scale.
        because: an item of the user's recent history that the candidate is a near neighbour of, or None.
        scored_by: the method by which they were scored.
    """

    items: list[str]
    packed_scores: bytes
    because: list[str | None]
    scored_by: ScoredBy = ScoredBy.FULL

    def scores(self) -> list[float]:
        """Return the scores as numbers."""
        return array("f", self.packed_scores).tolist()


class ScoredBehavior(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An applied behaviour and the model's candidates after it.

    Attributes:
        history: as in `TrackedBehavior`; empty where `excluded` is None.
        excluded: as in `TrackedBehavior`, and the neighbours of the newest dislikes. None where nobody reads it: the
            candidates are enough for a list, and none of them is excluded.
        candidates: the model's candidates; None if the list has to be made without scores.
        fallback_reason: why there are no candidates, a `FallbackReason`.
        model: index of the element's model that serves its user, and scored it where there are candidates; None where
            no model serves.
        batch_size: number of histories that the model scored in the same call.
    """

    behavior: LoggedBehavior
    user_seq: int
    history: bytes
    excluded: bytes | None
    shown: list[tuple[int, float]]
    candidates: Candidates | None
    fallback_reason: str | None
    model: int | None
    batch_size: int | None


def with_candidates(
    tracked: TrackedBehavior,
    candidates: Candidates | None,
    *,
    neighbors: bytes = b"",
    fallback_reason: str | None = None,
    model: int | None = None,
    batch_size: int | None = None,
) -> ScoredBehavior:
    """Return a behaviour with its candidates and all that may be needed to fill its list up.

    Args:
        tracked: the behaviour.
        candidates: see `ScoredBehavior`, as of the others.
        neighbors: packed hashes of the newest dislikes' neighbours, which are excluded too.
        fallback_reason: reason why there are none.
        model: index of the element's model.
        batch_size: number of histories of the model's call.
    """
    return ScoredBehavior(
        behavior=tracked.behavior,
        user_seq=tracked.user_seq,
        history=tracked.history,
        excluded=tracked.excluded + neighbors,
        shown=tracked.shown,
        candidates=candidates,
        fallback_reason=fallback_reason,
        model=model,
        batch_size=batch_size,
    )


class ModelRef(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The model that scored, as written in every row it had a part in."""

    version: str
    hash: str
    variant: str


class Swap(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The outcome of loading a model at one scorer: reported once, with its next element.

    Attributes:
        scorer: number of the subtask of score-candidates.
        model: the one that was to be served.
        outcome: "started" and "swapped": it is served from now on; "failed": the one before is served instead.
        problem: why it failed; None where it did not.
        at: the time, epoch ms.
    """

    scorer: int
    model: ModelRef
    outcome: Literal["started", "swapped", "failed"]
    problem: str | None
    at: int


class Begun(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A note that the job has begun to read a partition; poll-log sends it once to every bucket, in its own element.

    Attributes:
        log_partition: the partition.
        log_offset: the last offset that was read of it before; -1 if none was.
    """

    log_partition: int
    log_offset: int


class ListOwner(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A user whose list a sweep checks, and the items that must not fill it up.

    Attributes:
        user_id: the user.
        excluded: packed hashes of items that the user owns, disliked and, where they may not be shown again, has seen;
            behind score-candidates also of the neighbours of the newest dislikes.
        disliked: as in `TrackedBehavior`.
    """

    user_id: str
    excluded: bytes
    disliked: bytes


class Sweep(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A few users of a bucket, whose lists lose withdrawn items; see `udfs.users.sweep_users`.

    Attributes:
        begun: the place in the log that the lists' rows stand behind.
        owners: the users.
    """

    begun: Begun
    owners: list[ListOwner]


class PolledElement(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An element from poll-log to track-users."""

    epoch: int
    behaviors: list[LoggedBehavior]
    begun: Begun | None = None


class TrackedElement(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An element from track-users to score-candidates; `duplicates` counts the repeated events that were dropped."""

    epoch: int
    duplicates: int
    behaviors: list[TrackedBehavior]
    sweep: Sweep | None = None


class ScoredElement(msgspec.Struct, array_like=True, frozen=True, gc=False, tag="scored"):
    """An element from score-candidates to update-lists.

    Attributes:
        swaps: those since the scorer's element before.
        pauses: number and ms of the worker's full garbage collections, likewise.
        gaps: number of times since then that the scorer had nothing under way; see `udfs.model_serving.idle_time`.
        gap_ms: their length, added up.
    """

    epoch: int
    duplicates: int
    models: list[ModelRef]
    behaviors: list[ScoredBehavior]
    swaps: list[Swap] = []
    sweep: Sweep | None = None
    pauses: tuple[int, int] = (0, 0)
    gaps: int = 0
    gap_ms: int = 0


class TrendPart(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An element from track-users to find-trends: (item, weight, event time) of one element's behaviours."""

    epoch: int
    weights: list[tuple[str, float, int]]


class TrendSnapshot(msgspec.Struct, array_like=True, frozen=True, gc=False, tag="trends"):
    """An element from find-trends to update-lists.

    Attributes:
        snapshot_id: time at which it was made, epoch ms; written in every row it had a part in.
        strengths: item -> 0 to 1, strongest first.
    """

    snapshot_id: int
    strengths: dict[str, float]


encode = msgspec.msgpack.Encoder().encode
decode_polled = msgspec.msgpack.Decoder(PolledElement).decode
decode_tracked = msgspec.msgpack.Decoder(TrackedElement).decode
decode_update = msgspec.msgpack.Decoder(ScoredElement | TrendSnapshot).decode
decode_trend_part = msgspec.msgpack.Decoder(TrendPart).decode


class FallbackReason(StrEnum):
    """A reason why a behaviour has no scores."""

    DEADLINE = "deadline"
    """The model's call took longer than `deadline_ms`."""
    MODEL_BUSY = "model_busy"
    """The call that missed its deadline still has the model's thread."""
    CIRCUIT_OPEN = "circuit_open"
    """The model missed its deadline again and again, and is not asked for a while."""
    MODEL_ERROR = "model_error"
    """The model's call raised, or its answer cannot be used."""
    SHED = "shed"
    """It was older than `scoring.shed_after_ms` when it came to be scored."""
    COALESCED = "coalesced"
    """A newer behaviour of its user was in the same element, with `scoring.coalesce`."""

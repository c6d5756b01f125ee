"""The recomputation of a list: the behaviours from the log, and everything else as its row recorded it."""

from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from job.explain.inputs import Deployments, Models, Rules
from job.explain.log_records import Place, read_places
from job.explain.records import BehaviorRecord, ExplainError, ListRecord, Recorded
from job.explain.same_lists import SeenList, difference
from model.bundles.bundle import Bundle
from udfs.elements import Candidates, LoggedBehavior, TrackedBehavior, with_candidates
from udfs.lists.entries import Reason, ReasonCode, reason_text
from udfs.lists.list_rules import Fallbacks, Policy
from udfs.lists.user_list import UserList, swept, update
from udfs.log.parsing import DeadLetter, LogRecord, parse
from udfs.users.profile import Applied, UserProfile, apply, list_owner, snapshot

WITHDRAWN = "withdrawn"
"""The action of a list that was made anew without withdrawn items."""
_REASONS: Mapping[str, int] = {reason_text(code.value): code.value for code in ReasonCode}
_BECAUSE = "because:"


@dataclass(frozen=True, slots=True)
class Recomputed:
    """A list made again, and everything that had a part in it.

    Attributes:
        user_list: the list as it comes out now.
        previous: the list before it, as recorded.
        profile: the user's profile right after the behaviour.
        history: the user's applied behaviours, oldest first.
        fallbacks: what filled it up, and the trends.
        candidates: what the model proposed; None without scores.
        excluded: packed hashes of the items that might not be shown.
        shown: impressions of items, faded.
        bundle: the model's bundle; None if no model had a part in it.
        rules: the rules of its deployment.
        not_in_log: places of behaviours that the log does not hold any more, and that were taken from user_behavior.
        differences: everything that is not as it was written; none where all is equal.
    """

    user_list: UserList
    previous: UserList
    profile: UserProfile
    history: tuple[LoggedBehavior, ...]
    fallbacks: Fallbacks
    candidates: Candidates | None
    excluded: bytes
    shown: tuple[tuple[int, float], ...]
    bundle: Bundle | None
    rules: Rules
    not_in_log: tuple[Place, ...]
    differences: tuple[str, ...]


@dataclass(slots=True)
class _Replayed:
    """A user's behaviours, applied again."""

    profile: UserProfile
    applied: list[LoggedBehavior]
    differences: list[str]
    not_in_log: list[Place]


def recompute(
    recorded: Recorded, deployments: Deployments, records: Mapping[Place, LogRecord] | None = None
) -> Recomputed:
    """Make the list again.

    Args:
        recorded: the rows to start from.
        deployments: those that the rows are of.
        records: the records of the log, if they were read before; None reads them.

    Raises:
        ExplainError: something that it was made from is gone.
        LogError: the log cannot be read.
        BundleError: the model's bundle is damaged.
        RegistryError: the registry of models cannot be read.
    """
    made = recorded.made
    job = deployments.of_epoch(made.epoch)
    rules, models = deployments.rules_of(made.epoch), deployments.models_of(made.epoch)
    if records is None:
        records = read_places(job.settings, (each.at for each in recorded.behaviors))
    replayed = _replay(recorded, deployments, records)
    fallbacks, previous = models.fallbacks(recorded.trends), _stored(recorded.previous)
    bundle = models.bundle(made) if made.policy == Policy.RECOMMEND else None
    if made.action == WITHDRAWN:
        owner = list_owner(made.user_id, replayed.profile, rules.profile)
        excluded = owner.excluded + (models.disliked_neighbors(bundle, owner.disliked) if bundle else b"")
        again = swept(previous, excluded, rules.lists, fallbacks)
        candidates, shown = None, tuple[tuple[int, float], ...]()
    else:
        tracked = snapshot(replayed.profile, replayed.applied[-1], rules.profile)
        candidates, near = _proposed(made, models, bundle, tracked)
        scored = with_candidates(
            tracked, candidates, neighbors=near, fallback_reason=made.fallback_reason, batch_size=made.batch_size
        )
        excluded, shown = tracked.excluded + near, tuple(tracked.shown)
        again = update(previous, scored, rules.lists, fallbacks)
    return Recomputed(
        user_list=again,
        previous=previous,
        profile=replayed.profile,
        history=tuple(replayed.applied),
        fallbacks=fallbacks,
        candidates=candidates,
        excluded=excluded,
        shown=shown,
        bundle=bundle,
        rules=rules,
        not_in_log=tuple(replayed.not_in_log),
        differences=(*replayed.differences, *_differences(made, again)),
    )


def _replay(recorded: Recorded, deployments: Deployments, records: Mapping[Place, LogRecord]) -> _Replayed:
    """Apply the user's behaviours from the log, each by the rules of the deployment that applied it."""
    replayed = _Replayed(UserProfile(), [], [], [])
    for row in recorded.behaviors:
        rules = deployments.rules_of(row.epoch)
        behavior = _of_row(row)
        if (record := records.get(row.at)) is None:
            replayed.not_in_log.append(row.at)
        else:
            replayed.differences += _not_as_logged(behavior, record, rules)
        number = None
        if apply(replayed.profile, behavior, rules.profile) is Applied.YES:
            replayed.applied.append(behavior)
            number = replayed.profile.user_seq
        if number != row.user_seq:
            place = f"{row.log_partition}:{row.log_offset}"
            replayed.differences.append(f"behaviour {place} is number {number}, and was written as {row.user_seq}")
    return replayed


def _not_as_logged(behavior: LoggedBehavior, record: LogRecord, rules: Rules) -> list[str]:
    """Return the difference of a row of user_behavior from its record of the log, if there is one."""
    parsed = parse(record, rules.parsing, newest_ms=0, now_ms=2**53)
    place = f"{record.partition}:{record.offset}"
    if isinstance(parsed, DeadLetter):
        return [f"record {place} of the log is a dead letter now ({parsed.reason.value}), and was written as applied"]
    return [] if parsed == behavior else [f"record {place} of the log is {parsed}, and was written as {behavior}"]


def _of_row(row: BehaviorRecord) -> LoggedBehavior:
    return LoggedBehavior(
        user_id=row.user_id,
        action=row.action,
        item_id=row.item_id,
        timestamp=row.timestamp,
        event_id=row.event_id,
        request_id=row.request_id,
        position=row.position,
        log_partition=row.log_partition,
        log_offset=row.log_offset,
        appended_at=row.appended_at,
    )


def _stored(row: ListRecord | None) -> UserList:
    """Return the list that state held when the row was written."""
    if row is None:
        return UserList()
    return UserList(
        list_version=row.list_version,
        user_seq=row.user_seq,
        items=list(row.items),
        scores=array("f", row.scores),
        reasons=[_reason(text) for text in row.reasons],
        propensities=array("d", row.propensities or ()),
    )


def _reason(text: str) -> Reason:
    if text.startswith(_BECAUSE):
        return text.removeprefix(_BECAUSE)
    if text not in _REASONS:
        msg = f"a list has the reason {text!r}, which this release does not know"
        raise ExplainError(msg)
    return _REASONS[text]


def _proposed(
    made: ListRecord, models: Models, bundle: Bundle | None, tracked: TrackedBehavior
) -> tuple[Candidates | None, bytes]:
    if bundle is None:
        return None, b""
    if made.source != "scored":
        return None, models.disliked_neighbors(bundle, tracked.disliked)
    return models.candidates(bundle, tracked)


def _differences(made: ListRecord, again: UserList) -> list[str]:
    """Return the first difference of the list that was made again from the written one, if there is one."""
    if again.list_version != made.list_version:
        return [f"the list has version {again.list_version}, and was written as {made.list_version}"]
    found = difference(
        _seen(made, again.items, again.scores, [reason_text(reason) for reason in again.reasons], again.user_seq),
        _seen(made, made.items, made.scores, made.reasons, made.user_seq),
    )
    return [f"the list made again is another one than was written: {found}"] if found else []


def _seen(
    made: ListRecord, items: Iterable[str], scores: Iterable[float], reasons: Iterable[str], user_seq: int
) -> SeenList:
    return SeenList(
        partition=made.log_partition,
        offset=made.log_offset,
        user_id=made.user_id,
        list_version=made.list_version,
        user_seq=user_seq,
        items=tuple(items),
        scores=tuple(scores),
        reasons=tuple(reasons),
        written_at=made.written_at,
        source=made.source,
        fallback_reason=made.fallback_reason,
        model=made.model_version,
    )

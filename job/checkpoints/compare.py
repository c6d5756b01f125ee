"""The differences of two checkpoints: how far the log was read between them, and whose state has changed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b

from job.checkpoints.checkpoint import Checkpoint

_DIGEST_BYTES = 8


@dataclass(frozen=True, slots=True)
class PartitionMove:
    """The next offsets of a log partition in both checkpoints; None where the partition is not in one."""

    partition: int
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class SizeChange:
    """The size of an operator's state in both checkpoints, as stored; None where the operator is not in one."""

    uid: str
    before: int | None
    after: int | None


@dataclass(frozen=True, slots=True)
class Difference:
    """The differences of two checkpoints.

    Attributes:
        partitions: partitions of the log.
        operators: operators whose state has another size.
        added: users who have a profile in the newer one only.
        gone: users who have one in the older one only.
        changed: users with another profile, who acted between the two.
        lists_changed: users with another list.
    """

    partitions: list[PartitionMove]
    operators: list[SizeChange]
    added: list[str]
    gone: list[str]
    changed: list[str]
    lists_changed: list[str]


def compare(older: Checkpoint, newer: Checkpoint) -> Difference:
    """Compare two checkpoints.

    Of each user 16 bytes are in memory, whatever the size of the state.
    """
    profiles = _digests(older.raw_profiles()), _digests(newer.raw_profiles())
    lists = _digests(older.raw_lists()), _digests(newer.raw_lists())
    return Difference(
        partitions=list(_moves(older, newer)),
        operators=list(_sizes(older, newer)),
        added=sorted(profiles[1].keys() - profiles[0].keys()),
        gone=sorted(profiles[0].keys() - profiles[1].keys()),
        changed=_changed(*profiles),
        lists_changed=_changed(*lists),
    )


def _digests(states: Iterable[tuple[str, bytes]]) -> dict[str, bytes]:
    return {user: blake2b(state, digest_size=_DIGEST_BYTES).digest() for user, state in states}


def _changed(before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    return sorted(user for user in before.keys() & after.keys() if before[user] != after[user])


def _moves(older: Checkpoint, newer: Checkpoint) -> Iterator[PartitionMove]:
    before, after = ({each.partition: each.next_offset for each in of.positions()} for of in (older, newer))
    for partition in sorted(before.keys() | after.keys()):
        yield PartitionMove(partition, before.get(partition), after.get(partition))


def _sizes(older: Checkpoint, newer: Checkpoint) -> Iterator[SizeChange]:
    before, after = ({each.uid: each.size_bytes for each in of.contents.operators} for of in (older, newer))
    for uid in sorted(before.keys() | after.keys()):
        if before.get(uid) != after.get(uid):
            yield SizeChange(uid, before.get(uid), after.get(uid))

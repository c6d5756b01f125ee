"""Records published for other systems: the record of a table's row, and the order by which readers choose among many.

Lists are keyed by user. A restore writes lists again, under a higher epoch. A reader of the topic keeps, for each user,
the list of the highest (epoch, list_version), whatever order records come in; of equal ones the later record, which a
second restore of one checkpoint wrote. A dead letter's headers name its record's place in the log and its epoch: where
user_behavior has that place under a higher one, the record was applied since.
"""

import base64
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from udfs.hashing import stable_hash

Headers = list[tuple[str, bytes]]


class OutRecord(NamedTuple):
    """A record to be published.

    Attributes:
        key: None where records are not searched by key.
        value: its bytes.
        place: decides its partition: place % partitions.
        headers: names and values.
    """

    key: bytes | None
    value: bytes
    place: int
    headers: Headers


class PublishedList(msgspec.Struct, frozen=True):
    """The part of a published list by which readers order; the record has all columns of recommendation_lists."""

    user_id: str
    epoch: int
    list_version: int
    items: list[str]

    @property
    def order(self) -> tuple[int, int]:
        """The rank among the lists of one user: the greatest counts."""
        return self.epoch, self.list_version


class _Owner(msgspec.Struct):
    user_id: str


class _Letter(msgspec.Struct):
    log_partition: int
    log_offset: int
    reason: str
    detail: str
    raw_base64: str
    truncated: bool
    epoch: int


_owner = msgspec.json.Decoder(_Owner).decode
_letter = msgspec.json.Decoder(_Letter).decode
_published = msgspec.json.Decoder(PublishedList).decode


def list_record(row: str) -> OutRecord:
    """Return the record of a row of recommendation_lists: keyed by user, in the user's partition."""
    user_id = _owner(row).user_id
    return OutRecord(key=user_id.encode(), value=row.encode(), place=stable_hash(user_id), headers=[])


def dead_letter_record(row: str) -> OutRecord:
    """Return the record of a row of dead_letters: the bytes that were kept, and in headers the fault and the place."""
    letter = _letter(row)
    named: dict[str, str | int] = {
        "reason": letter.reason,
        "detail": letter.detail,
        "log_partition": letter.log_partition,
        "log_offset": letter.log_offset,
        "epoch": letter.epoch,
        "truncated": "true" if letter.truncated else "false",
    }
    headers = [(name, str(value).encode()) for name, value in named.items()]
    return OutRecord(key=None, value=base64.b64decode(letter.raw_base64), place=letter.log_partition, headers=headers)


class PublishedLetter(NamedTuple):
    """The part of a published dead letter by which readers choose among several of one record.

    Attributes:
        at: the record's partition and offset in the log.
        epoch: of the attempt that found it dead; a later attempt may have applied it, by other settings.
        reason: why it is dead.
    """

    at: tuple[int, int]
    epoch: int
    reason: str


def newest_letters(headers: Iterable[Headers], outcomes: Mapping[tuple[int, int], int]) -> dict[tuple[int, int], str]:
    """Return the records that are dead still, by their places in the log, and why; letters may come in any order.

    A restore reads records again, and settings may have changed: what was dead may be applied then, and its letter is
    published already. Of one record the outcome of the highest epoch counts, here as in the tables.

    Args:
        headers: of the dead letters' records.
        outcomes: place in the log -> epoch of the row of user_behavior, for those that were applied.
    """
    newest: dict[tuple[int, int], PublishedLetter] = {}
    for each in headers:
        named = dict(each)
        letter = PublishedLetter(
            at=(int(named["log_partition"]), int(named["log_offset"])),
            epoch=int(named["epoch"]),
            reason=named["reason"].decode(),
        )
        known = newest.get(letter.at)
        if letter.epoch > outcomes.get(letter.at, -1) and (known is None or letter.epoch > known.epoch):
            newest[letter.at] = letter
    return {at: letter.reason for at, letter in newest.items()}


def newest_lists(values: Iterable[bytes]) -> dict[str, PublishedList]:
    """Return every user's list, from records' values in any order; of equal ones the later.

    Of equal versions the higher epoch counts, and a lower epoch never replaces a higher one: its list was made again.
    """
    newest: dict[str, PublishedList] = {}
    for value in values:
        found = _published(value)
        known = newest.get(found.user_id)
        if known is None or found.order >= known.order:
            newest[found.user_id] = found
    return newest

"""The rows that poll-log writes, as lines of JSON."""

import base64

from udfs.log.parsing import MAX_RAW_BYTES, DeadLetter
from udfs.log.position import LogPosition
from udfs.rows import AttemptRow, DeadLetterRow, to_line


def attempt_row(position: LogPosition, parent_epoch: int | None, generation: int, now_ms: int) -> str:
    """The line of an attempt that goes on at the position."""
    return to_line(
        AttemptRow(
            log_partition=position.partition,
            first_offset=position.next_offset,
            parent_epoch=parent_epoch,
            generation=generation,
            written_at=now_ms,
            epoch=position.epoch,
        )
    )


def dead_letter_row(letter: DeadLetter, epoch: int, now_ms: int) -> str:
    """The line of a dead letter, with up to 64 KiB of the record's own bytes."""
    record = letter.record
    raw = record.raw[:MAX_RAW_BYTES]
    return to_line(
        DeadLetterRow(
            record.partition,
            record.offset,
            letter.reason.value,
            letter.detail,
            base64.b64encode(raw).decode(),
            record.size,
            record.size > len(raw),
            letter.timestamp,
            now_ms,
            epoch,
        )
    )

"""The rows that poll-log writes."""

import base64

from udfs.log.parsing import MAX_RAW_BYTES, DeadLetter
from udfs.log.position import LogPosition
from udfs.rows import AttemptRow, DeadLetterRow


def attempt_row(position: LogPosition, *, parent_epoch: int | None, generation: int, now_ms: int) -> AttemptRow:
    """Return the row of an attempt that goes on at the position."""
    return AttemptRow(
        log_partition=position.partition,
        first_offset=position.next_offset,
        parent_epoch=parent_epoch,
        generation=generation,
        written_at=now_ms,
        epoch=position.epoch,
    )


def dead_letter_row(letter: DeadLetter, *, now_ms: int, epoch: int) -> DeadLetterRow:
    """Return the row of a dead letter, with up to 64 KiB of the record's own bytes."""
    record = letter.record
    raw = record.raw[:MAX_RAW_BYTES]
    return DeadLetterRow(
        log_partition=record.partition,
        log_offset=record.offset,
        reason=letter.reason.value,
        detail=letter.detail,
        raw_base64=base64.b64encode(raw).decode(),
        raw_bytes=record.size,
        truncated=record.size > len(raw),
        timestamp=letter.timestamp,
        written_at=now_ms,
        epoch=epoch,
    )

"""One record of a Kafka topic as a log record."""

from model.event_time import LATEST_MS
from udfs.log.parsing import LONGEST_RECORD_BYTES, MAX_RAW_BYTES, LogRecord, Problem, Reason

UNKNOWN_TOPIC_ID = b"\0" * 16
"""The cursor of a partition that was begun while the topic's id was not known."""


def log_record(partition: int, offset: int, appended_at: int | None, value: bytes | None) -> LogRecord:
    """Return the log record; without a value it is a dead letter, and of a long one only the beginning is kept.

    Its time is the producer's unless the topic is set otherwise, which not every reader knows. A time of appending
    that no calendar has counts as none: producers may give a topic's records any number, and Kafka's -1 means none.
    """
    if appended_at is not None and not 0 <= appended_at <= LATEST_MS:
        appended_at = None
    if value is None:
        problem = Problem(Reason.TOMBSTONE, "the record has no value")
        return LogRecord(
            partition=partition,
            offset=offset,
            raw=b"",
            size=0,
            appended_at=appended_at,
            problem=problem,
            stamped_by_producer=True,
        )
    size = len(value)
    return LogRecord(
        partition=partition,
        offset=offset,
        raw=value[:MAX_RAW_BYTES] if size > LONGEST_RECORD_BYTES else value,
        size=size,
        appended_at=appended_at,
        stamped_by_producer=True,
    )

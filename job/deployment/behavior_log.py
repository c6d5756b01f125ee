"""The behaviour log for commands, of either kind: its creation or check, its start offsets and its ends."""

from job.kafka.behaviors_topic import check_log_topic
from job.kafka.native_login import check_login
from job.kafka.topics import end_offsets, start_offsets
from job.replay.log_writer import count_lines, create_log
from job.settings.job_settings import JobSettings
from udfs.log.file_log import MANIFEST, FileLogReader, partition_file


def make_ready(settings: JobSettings) -> None:
    """Make an empty embedded log if there is none, also that of lists; check that a topic exists.

    Raises:
        SettingsError: no brokers are given.
        PartitionCountError: the lists log was made with another flink.buckets.
        TopicError: there is no such topic, or it deletes appended records, or the brokers do not answer.
    """
    log = settings.log
    if settings.publish.lists_folder is not None:
        # A partition for each subtask of append-lists that there may ever be.
        create_log(settings.publish.lists_folder, settings.flink.buckets)
    if log.kind == "kafka":
        check_login(settings.kafka)
        end_offsets(settings.kafka.connection(), log.topic)
        check_log_topic(settings.kafka.connection(), log.topic, replayable=settings.preset == "replayable")
    elif not (log.folder / MANIFEST).exists():
        create_log(log.folder, log.partitions)


def first_offsets(settings: JobSettings) -> tuple[int, ...]:
    """Return the offsets of partition 0, 1, ... that `log.start` stands for; none for an embedded log.

    The offsets are read once, before the job begins: however often it restarts before its first checkpoint, it begins
    there, and partitions that are added later, or while it is down, are read from their beginning.

    Raises:
        TopicError: there is no such topic, or the brokers do not answer.
    """
    log = settings.log
    if log.kind == "files":
        return ()
    return start_offsets(settings.kafka.connection(), log.topic, log.start, log.group)


def ends(settings: JobSettings) -> dict[int, int]:
    """Return for each partition the offset that its next record gets.

    Raises:
        LogError: there is no such log.
        TopicError: there is no such topic, or the brokers do not answer.
    """
    log = settings.log
    if log.kind == "kafka":
        return end_offsets(settings.kafka.connection(), log.topic)
    partitions = range(FileLogReader(log.folder).partitions())
    return {partition: count_lines(partition_file(log.folder, partition)) for partition in partitions}

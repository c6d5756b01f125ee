"""The behaviour log as commands see it, whichever kind it is: made ready, begun, and how long it is."""

from job.kafka.behaviors_topic import check_keeps
from job.kafka.native_login import check_login
from job.kafka.topics import end_offsets, start_offsets
from job.replay.log_writer import count_lines, create_log
from job.settings.job_settings import JobSettings
from udfs.log.file_log import MANIFEST, FileLogReader, partition_file


def make_ready(settings: JobSettings) -> None:
    """An embedded log that is not there is made, empty; a topic has to be there.

    Raises:
        SettingsError: no brokers are given.
        TopicError: there is no such topic, or it forgets what was appended, or the brokers do not answer.
    """
    log = settings.log
    if log.kind == "kafka":
        check_login(settings.kafka)
        end_offsets(settings.kafka.connection(), log.topic)
        check_keeps(settings.kafka.connection(), log.topic)
    elif not (log.folder / MANIFEST).exists():
        create_log(log.folder, log.partitions)


def begun(settings: JobSettings) -> JobSettings:
    """The same settings, where `log.start` has become offsets.

    Looked up once, before the job begins: however often it restarts before its first checkpoint, it begins there; and
    partitions that are added later, or while it is down, are read from their beginning.

    Raises:
        TopicError: there is no such topic, or the brokers do not answer.
    """
    log = settings.log
    if log.kind == "files":
        return settings
    offsets = start_offsets(settings.kafka.connection(), log.topic, log.start, log.group)
    return settings.model_copy(update={"log": log.model_copy(update={"start_offsets": offsets})})


def ends(settings: JobSettings) -> dict[int, int]:
    """Partition -> the offset that its next record gets.

    Raises:
        LogError: there is no such log.
        TopicError: there is no such topic, or the brokers do not answer.
    """
    log = settings.log
    if log.kind == "kafka":
        return end_offsets(settings.kafka.connection(), log.topic)
    partitions = range(FileLogReader(log.folder).partitions())
    return {partition: count_lines(partition_file(log.folder, partition)) for partition in partitions}

"""The topic that the job reads as its log: it has to keep records until the job has read them."""

import logging
from collections.abc import Iterator, Mapping
from datetime import timedelta

from job.kafka.errors import TopicError
from job.kafka.topics import topic_configs
from udfs.kafka.connection import KafkaConnection

_SHORT = timedelta(days=1)
"""The retention below which a warning is logged: a job that is away for longer than it loses behaviours."""
_log = logging.getLogger(__name__)


def check_log_topic(connection: KafkaConnection, topic: str, *, replayable: bool) -> None:
    """Refuse a topic that loses records; log a warning if that can't be known, and advice about its other settings.

    Args:
        connection: the connection to the brokers.
        topic: the topic's name.
        replayable: whether the job has preset=replayable.

    Raises:
        TopicError: compaction removes records of equal keys, whether the job has read them or not; or the brokers do
            not answer.
    """
    configs = topic_configs(connection, topic)
    if not configs:
        _log.warning(
            "whether topic %s keeps its records can't be told: the brokers do not let us describe its configuration "
            "(the ACL DescribeConfigs). Make sure that its cleanup.policy is delete: compaction would lose behaviours",
            topic,
        )
        return
    policy = configs["cleanup.policy"] or ""
    if "compact" in policy.split(","):
        msg = (
            f"topic {topic} has cleanup.policy={policy}: of records with the same key all but the newest are removed, "
            f"read or not, and so behaviours are lost. Set that to delete (kafka-configs --alter --topic {topic} "
            "--add-config cleanup.policy=delete), or name another topic in log.topic"
        )
        raise TopicError(msg)
    for advice in topic_advice(topic, configs, replayable=replayable):
        _log.warning("%s", advice)


def topic_advice(topic: str, configs: Mapping[str, str | None], *, replayable: bool) -> Iterator[str]:
    """Yield a sentence for each setting of a topic with which the job runs, but not well.

    Args:
        topic: the topic's name.
        configs: its configuration, defaults included.
        replayable: whether the job has preset=replayable, in which no clock judges the records' times.
    """
    kept_ms = int(configs.get("retention.ms") or -1)
    if 0 <= kept_ms < _SHORT.total_seconds() * 1000:
        yield (
            f"topic {topic} keeps records for {kept_ms / 3_600_000:g} h (retention.ms): a job that is away for longer "
            "loses behaviours"
        )
    timestamp_type = configs.get("message.timestamp.type")
    if replayable and timestamp_type != "LogAppendTime":
        yield (
            f"topic {topic} has message.timestamp.type={timestamp_type}: the producers set the times of its records, "
            "and with preset=replayable no clock bounds them, so one behaviour of the far future can make later ones "
            f"of its partition late. Set message.timestamp.type=LogAppendTime (kafka-configs --alter --topic {topic} "
            "--add-config message.timestamp.type=LogAppendTime) before records are written"
        )

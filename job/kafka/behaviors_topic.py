"""The topic that the job reads as its log: it has to keep records until the job has read them."""

import logging
from datetime import timedelta

from job.kafka.errors import TopicError
from job.kafka.topics import topic_configs
from udfs.kafka.connection import KafkaConnection

SHORT = timedelta(days=1)
"""The retention below which a warning is logged: a job that is away for longer than it loses behaviours."""
_log = logging.getLogger(__name__)


def check_keeps(connection: KafkaConnection, topic: str) -> None:
    """Refuse a topic that loses records; log a warning if that can't be known, or records are kept only briefly.

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
    _warn_of_short(topic, configs)


def _warn_of_short(topic: str, configs: dict[str, str | None]) -> None:
    kept_ms = int(configs.get("retention.ms") or -1)
    if 0 <= kept_ms < SHORT.total_seconds() * 1000:
        _log.warning(
            "topic %s keeps records for %g h (retention.ms): a job that is away for longer loses behaviours",
            topic,
            kept_ms / 3_600_000,
        )

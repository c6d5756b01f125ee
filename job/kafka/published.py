"""The topics that a job publishes to: made if they are missing, and refused if they would lose records."""

import logging
from collections.abc import Iterator

from job.kafka.errors import TopicError
from job.kafka.native_login import check_login
from job.kafka.topics import cleanup_policy, create_topic, is_there
from job.settings.job_settings import JobSettings

_COMPACT = "compact"
_log = logging.getLogger(__name__)


def make_topics_ready(settings: JobSettings) -> Iterator[str]:
    """Make the topics that are missing: a compacted one for lists, one that keeps records by time for dead letters.

    Yields:
        The names of the topics made.

    Raises:
        TopicError: an existing topic keeps the wrong records, or the brokers do not answer.
        LoginError: Flink's own connector could not log in with the settings' secrets.
    """
    publish = settings.publish
    if publish.lists_topic is not None:
        check_login(settings.kafka)
    for topic in publish.topics:
        connection = settings.kafka.connection()
        is_lists = topic == publish.lists_topic
        policy = cleanup_policy(connection, topic)
        if policy is None and is_there(connection, topic):
            _log.warning(
                "whether topic %s keeps its records can't be told: the brokers do not let us describe its "
                "configuration (the ACL DescribeConfigs). It has to have cleanup.policy=%s",
                topic,
                _COMPACT if is_lists else "delete",
            )
        elif policy is None:
            policy = _COMPACT if is_lists else "delete"
            create_topic(connection, topic, publish.partitions, {"cleanup.policy": policy})
            yield topic
        elif is_lists and _COMPACT not in policy:
            _refuse(topic, policy, "it would forget the lists of users who do nothing for a while", _COMPACT)
        elif not is_lists and _COMPACT in policy:
            _refuse(topic, policy, "it takes no records without a key, as dead letters are", "delete")


def _refuse(topic: str, policy: str, reason: str, wanted: str) -> None:
    msg = f"topic {topic} has cleanup.policy={policy}: {reason}. Set that to {wanted}, or name another topic in publish"
    raise TopicError(msg)

"""Errors of Kafka tools, apart from those of reading the log: one tree of exceptions.

KafkaToolError            the root; its text says what to do
├── NoMavenError          no Maven client to fetch the broker's artifacts with
├── FetchFailedError      the Maven client could not fetch them
├── BrokerFailedError     the broker died or was not ready in time
├── TopicError            a topic is missing, or is not as required, or nobody answers
├── LoginError            a user or secret that the connector could not log in with
├── GroupMissingError     there is no consumer group of that name
└── ProduceError          records were not acknowledged
"""

from model.errors import RecloopError


class KafkaToolError(RecloopError):
    """Anything wrong with a development broker or its topics."""


class NoMavenError(KafkaToolError):
    """There is no Maven client on the PATH."""


class FetchFailedError(KafkaToolError):
    """The Maven client did not bring the artifacts; the text holds its reason."""


class BrokerFailedError(KafkaToolError):
    """The broker did not get ready; everything that was started of it has been ended."""


class TopicError(KafkaToolError):
    """A topic is missing, exists already, has other partitions or loses records, or its brokers do not answer."""


class LoginError(KafkaToolError):
    """A user or secret cannot be given to Flink's own connector."""


class GroupMissingError(KafkaToolError):
    """The brokers do not know a consumer group; the text names those that they know."""


class ProduceError(KafkaToolError):
    """The brokers refused records, or did not answer for them."""

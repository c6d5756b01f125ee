"""Kafka's errors as one of ours; that of a time-out lists the brokers tried, their replies, and what to check."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from kafka.errors import (
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    LeaderNotAvailableError,
    MetadataEmptyBrokerList,
    NodeNotReadyError,
)

from job.kafka.errors import TopicError
from udfs.kafka.connection import KafkaConnection

_NO_ANSWER = (KafkaTimeoutError, KafkaConnectionError, MetadataEmptyBrokerList, NodeNotReadyError)
_TRY_S = 1.0
_MOST_TRIED = 5
_LAST_PORT = 65_535
_ADDRESS = re.compile(r"\[?(?P<host>[^\[\]]*)\]?:(?P<port>\d{1,5})")


@contextmanager
def as_topic_errors(subject: str, connection: KafkaConnection, *, reached: bool = True) -> Iterator[None]:
    """Turn Kafka's errors in the block into one of ours.

    Args:
        subject: the subject of the request, for the message.
        connection: the connection that it uses.
        reached: whether a broker has answered on it before.

    Raises:
        TopicError: a request failed; the text names its subject and the fault, with advice if nobody answered.
    """
    try:
        yield
    except _NO_ANSWER as error:
        msg = f"{subject}: {no_answer(connection, reached=reached)} ({type(error).__name__})"
        raise TopicError(msg) from error
    except LeaderNotAvailableError as error:
        msg = f"{subject}: {error.args[0]}"
        raise TopicError(msg) from error
    except KafkaError as error:
        # The text often begins with the error's kind, which is not repeated.
        kind, text = type(error).__name__, str(error)
        msg = f"{subject}: {text if text.startswith(kind) else f'{kind}: {text}'}"
        raise TopicError(msg) from error
    except (OSError, ValueError) as error:  # an unreadable certificate, a malformed address
        if reached:
            raise
        fault = f"{type(error).__name__}: {error}"
        msg = f"{subject}: {fault}: check kafka.brokers, and the files of kafka.ca_file and others"
        raise TopicError(msg) from error


def no_answer(connection: KafkaConnection, *, reached: bool) -> str:
    """Return a message with the brokers asked, the login, what is at their addresses, and what to check."""
    addresses = connection.brokers.split(",")
    found = "; ".join(f"{each} {_at(each)}" for each in addresses[:_MOST_TRIED])
    if reached:
        return (
            f"the brokers of {connection.brokers} stopped answering within 10 s ({found}). They send clients to the "
            "addresses of their own setting advertised.listeners: check that these are reached from this machine "
            "(names, ports, firewall), and that the brokers are well"
        )
    login = f"kafka.security={connection.security}"
    if connection.mechanism is not None:
        login += f" with {connection.mechanism} as user {connection.username}"
    return (
        f"no broker of kafka.brokers={connection.brokers} answered within 10 s as {login} ({found}). "
        "Check the addresses, that nothing between (a firewall, a container's network) keeps them from this machine, "
        "and that kafka.security is what that listener speaks"
    )


def _at(address: str) -> str:
    """Return the result of a plain connection to an address, as a phrase."""
    parts = _ADDRESS.fullmatch(address.strip())
    if parts is None or int(parts["port"]) > _LAST_PORT:
        return "is no host:port"
    try:
        socket.create_connection((parts["host"], int(parts["port"])), timeout=_TRY_S).close()
    except socket.gaierror:
        return "is a name that is not known here"
    except ConnectionRefusedError:
        return "refuses connections: nothing listens there"
    except (OSError, UnicodeError) as error:
        return "does not answer" if isinstance(error, TimeoutError) else f"can't be reached: {error}"
    return "takes connections, and says nothing that is Kafka to us"

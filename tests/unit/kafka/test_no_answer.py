"""Where no broker answers, the error says who was asked and how, what was found there, and what to check."""

import socket
from collections.abc import Iterator

import pytest
from kafka.errors import KafkaTimeoutError

from job.kafka.errors import TopicError
from job.kafka.no_answer import as_topic_errors, no_answer
from udfs.kafka.connection import KafkaConnection, Secret


@pytest.fixture
def mute() -> Iterator[str]:
    """An address that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_each_broker_is_told_with_what_is_found_there(mute: str) -> None:
    brokers = ",".join(["127.0.0.1:1", "no-such-host.invalid:9092", "broker", mute, "127.0.0.1:99999"])
    said = no_answer(KafkaConnection(brokers=brokers), reached=False)
    for expected in (
        "127.0.0.1:1 refuses connections",
        "no-such-host.invalid:9092 is a name that is not known here",
        "broker is no host:port",
        f"{mute} takes connections, and says nothing that is Kafka",
        "127.0.0.1:99999 is no host:port",
        "firewall",
        "kafka.security is what that listener speaks",
    ):
        assert expected in said


def test_it_says_how_was_asked_and_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "hunter2")
    connection = KafkaConnection(
        brokers="127.0.0.1:1",
        security="SASL_SSL",
        mechanism="PLAIN",
        username="recloop",
        password=Secret("env:KAFKA_PASSWORD"),
    )
    said = no_answer(connection, reached=False)
    assert "kafka.security=SASL_SSL with PLAIN as user recloop" in said
    assert "hunter2" not in said


def test_who_answered_at_first_may_have_told_other_addresses() -> None:
    def ask() -> None:
        with as_topic_errors("topic clicks", KafkaConnection(brokers="127.0.0.1:1")):
            raise KafkaTimeoutError

    with pytest.raises(TopicError, match=r"topic clicks: .* stopped answering .* advertised\.listeners"):
        ask()


@pytest.mark.parametrize("error", [FileNotFoundError(2, "No such file", "ca.pem"), ValueError("bad port")])
def test_what_keeps_a_client_from_being_made_is_told_too(error: Exception) -> None:
    def ask() -> None:
        with as_topic_errors("Kafka", KafkaConnection(brokers="127.0.0.1:1"), reached=False):
            raise error

    with pytest.raises(TopicError, match=r"check kafka\.brokers, and the files of kafka\.ca_file"):
        ask()

"""What `recloop deploy` and `recloop kafka lag` say of topics and groups that are not as they should be."""

import logging
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from job.cli import app
from job.deployment.behavior_log import make_ready
from job.kafka.broker import RunningBroker, start
from job.kafka.errors import GroupMissingError, TopicError
from job.kafka.published import make_topics_ready
from job.kafka.topics import create_topic, end_offsets, group_lags
from job.settings.job_settings import JobSettings, load
from tests.kafka.fixtures import broker_spec, produce
from tests.kafka.reading import read, until
from udfs.kafka.connection import KafkaConnection, SecretMissingError
from udfs.log.kafka_log import KafkaLog

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def ours(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name.startswith("job.")]


def settings(bootstrap: str, topic: str, *more: str) -> JobSettings:
    given = ["lists.policy=history", "log.kind=kafka", f"kafka.brokers={bootstrap}", f"log.topic={topic}", *more]
    return load(overrides=given)


@pytest.mark.parametrize("policy", ["compact", "compact,delete", "delete,compact"])
def test_a_topic_that_forgets_is_refused_with_what_to_do(broker: RunningBroker, policy: str) -> None:
    name = f"forgets-{policy.replace(',', '-')}"
    create_topic(KafkaConnection(brokers=broker.bootstrap), name, 1, {"cleanup.policy": policy})
    with pytest.raises(TopicError, match=rf"{name} has cleanup.policy=.*compact.* Set that to delete"):
        make_ready(settings(broker.bootstrap, name))


def test_a_topic_that_keeps_is_taken_and_one_that_keeps_briefly_warned_of(
    broker: RunningBroker, caplog: pytest.LogCaptureFixture
) -> None:
    connection = KafkaConnection(brokers=broker.bootstrap)
    for name, kept_ms in (("keeps", -1), ("keeps-a-week", 7 * 86_400_000), ("keeps-an-hour", 3_600_000)):
        create_topic(connection, name, 1, {"retention.ms": str(kept_ms)})
        with caplog.at_level(logging.WARNING):
            make_ready(settings(broker.bootstrap, name))
    assert [record.getMessage() for record in ours(caplog)] == [
        "topic keeps-an-hour keeps records for 1 h (retention.ms): a job that is away for longer loses behaviours"
    ]


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker whose topic `secretive` may be read and written, and not be described."""
    spec = broker_spec(tmp_path_factory.mktemp("strict"))
    rules = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    broker = start(replace(spec, properties={**spec.properties, **rules}), timeout_s=60)
    try:
        create_topic(KafkaConnection(brokers=broker.bootstrap), "secretive", 1)
        allow_reading(broker.bootstrap, "secretive")
        yield broker.bootstrap
    finally:
        broker.stop()


def allow_reading(bootstrap: str, topic: str) -> None:
    from kafka import KafkaAdminClient
    from kafka.admin import ACL, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType

    pattern = ResourcePattern(ResourceType.TOPIC, topic)
    with closing(KafkaAdminClient(bootstrap_servers=bootstrap)) as admin:
        operations = (ACLOperation.READ, ACLOperation.WRITE, ACLOperation.DESCRIBE)
        admin.create_acls([ACL("User:ANONYMOUS", "*", each, ACLPermissionType.ALLOW, pattern) for each in operations])


def test_what_may_not_be_described_is_a_warning(strict: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        make_ready(settings(strict, "secretive"))
        published = settings(strict, "other", "log.kind=files", "publish.lists_topic=secretive")
        assert list(make_topics_ready(published)) == []
    log_topic, lists_topic = (record.getMessage() for record in ours(caplog))
    assert "whether topic secretive keeps its records can't be told" in log_topic
    assert "cleanup.policy is delete" in log_topic
    assert "cleanup.policy=compact" in lists_topic


def lag(broker: RunningBroker, group: str) -> Any:
    return CliRunner().invoke(app, ["kafka", "lag", group, "--set", f"kafka.brokers={broker.bootstrap}", "--json"])


def test_an_unknown_group_is_an_error_that_names_those_there_are(broker: RunningBroker, topic: str) -> None:
    connection = KafkaConnection(brokers=broker.bootstrap)
    produce(broker, topic, 0, [b"a"])
    with closing(
        KafkaLog(connection=connection, topic=topic, group="known-group", start_offsets=(), skip_gone=False).open()
    ) as reader:
        read(reader, 1)
        until(lambda: lag(broker, "known-group").exit_code == 0)  # told every 5 s
    told = lag(broker, "knwon-group")
    said = " ".join(told.output.split())
    assert told.exit_code == 1
    assert "no consumer group 'knwon-group'" in said
    assert "known-group" in said.replace("knwon-group", "")
    with pytest.raises(GroupMissingError, match="known-group"):
        group_lags(connection, "none")


def test_nobody_there_is_told_with_what_to_check(tmp_path: Path) -> None:
    with pytest.raises(TopicError, match=r"127\.0\.0\.1:1 refuses connections: .* Check the addresses"):
        end_offsets(KafkaConnection(brokers="127.0.0.1:1"), "behaviors")


def test_a_certificate_that_is_not_there_is_told(broker: RunningBroker, tmp_path: Path) -> None:
    connection = KafkaConnection(brokers=broker.bootstrap, security="SSL", ca_file=tmp_path / "none.pem")
    with pytest.raises(SecretMissingError, match=r"none\.pem can't be read"):
        end_offsets(connection, "behaviors")


def test_a_listener_of_another_kind_is_told(broker: RunningBroker) -> None:
    with pytest.raises(TopicError, match=r"as kafka\.security=SSL .* takes connections, and says nothing"):
        end_offsets(KafkaConnection(brokers=broker.bootstrap, security="SSL"), "behaviors")

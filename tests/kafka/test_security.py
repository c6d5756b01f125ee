"""A broker that wants to know who asks: accepted with the right secret, refused with a wrong one, over TLS or not."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import sample

import pytest

from job.cluster import ClusterSpec, FlinkRest
from job.cluster.ports import port_is_free
from job.deployment.status import fresh_counts
from job.kafka.artifacts import connector_jar
from job.kafka.broker import BrokerSpec, RunningBroker, start
from job.kafka.topics import create_topic
from job.trial import trial_cluster
from model.bundles.bundle import Bundle
from tests.job.fixtures import jobs_on
from tests.kafka.fixtures import CACHE, broker_spec, produce
from tests.kafka.reading import read, until, values
from udfs.flink.metrics import Metric
from udfs.kafka.connection import KafkaConnection, Secret, SecretMissingError
from udfs.log.kafka_log import KafkaLog
from udfs.log.reader import LogRefusedError, Poll
from udfs.publishing.kafka_publisher import KafkaPublisher, PublishError
from udfs.publishing.publication import OutRecord

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
LISTENERS = ("SASL_PLAINTEXT", "SSL", "SASL_SSL")
PROTOCOLS = {"CONTROLLER": "PLAINTEXT"}
LOGIN = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_recloop="s3cret";'
SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule required;"


class Guarded:
    """A broker with a listener of each kind, beside an open one for the test itself."""

    def __init__(self, broker: RunningBroker, ports: dict[str, int], folder: Path) -> None:
        self.broker = broker
        self._ports = ports
        self.ca_file = folder / "certificate.pem"
        self.password = folder / "password"
        self.password.write_text("s3cret\n")

    def log(self, security: str, mechanism: str | None = None, password: Path | None = None) -> KafkaLog:
        connection = KafkaConnection(
            brokers=f"127.0.0.1:{self._ports[security]}",
            security=security,
            mechanism=mechanism,
            username="recloop" if mechanism else None,
            password=Secret(f"file:{password or self.password}") if mechanism else None,
            ca_file=self.ca_file,
        )
        return KafkaLog(connection=connection, topic="guarded", group="recloop", start_offsets=(), skip_gone=False)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    make_certificate(folder)
    ports = dict(zip(("PLAINTEXT", "CONTROLLER", *LISTENERS), free_ports(5), strict=True))
    state = folder / "broker"
    unguarded = broker_spec(state)
    spec = BrokerSpec(state, ports["PLAINTEXT"], cache=unguarded.cache, properties=properties(ports, folder))
    broker = start(spec, timeout_s=60)
    try:
        add_scram_user(broker)
        create_topic(KafkaConnection(brokers=broker.bootstrap), "guarded", 1)
        produce(broker, "guarded", 0, [b"secret"])
        yield Guarded(broker, ports, folder)
    finally:
        broker.stop()


def make_certificate(folder: Path) -> None:
    """A self-signed one, as PEM, of 127.0.0.1."""
    names = ["-subj", "/CN=broker", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *names, *files]
    subprocess.run(command, check=True, capture_output=True)
    (folder / "keystore.pem").write_text((folder / "key.pem").read_text() + (folder / "certificate.pem").read_text())


def free_ports(count: int) -> list[int]:
    return [port for port in sample(range(18_000, 32_000), 200) if port_is_free(port)][:count]


def properties(ports: dict[str, int], folder: Path) -> dict[str, str]:
    addresses = {name: f"{name}://127.0.0.1:{port}" for name, port in ports.items()}
    advertised = [address for name, address in addresses.items() if name != "CONTROLLER"]
    sasl = [name.lower() for name in LISTENERS if name.startswith("SASL")]
    return {
        "listeners": ",".join(addresses.values()),
        "advertised.listeners": ",".join(advertised),
        "controller.quorum.voters": f"1@127.0.0.1:{ports['CONTROLLER']}",
        "listener.security.protocol.map": ",".join(f"{name}:{PROTOCOLS.get(name, name)}" for name in ports),
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
        **{f"listener.name.{name}.plain.sasl.jaas.config": LOGIN for name in sasl},
        **{f"listener.name.{name}.scram-sha-{bits}.sasl.jaas.config": SCRAM for name in sasl for bits in (256, 512)},
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(folder / "keystore.pem"),
    }


def add_scram_user(broker: RunningBroker) -> None:
    from kafka import KafkaAdminClient
    from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

    with closing(KafkaAdminClient(bootstrap_servers=broker.bootstrap)) as admin:
        # The broker takes one mechanism of a user at a time.
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            user = UserScramCredentialUpsertion("recloop", mechanism, "s3cret")
            assert admin.alter_user_scram_credentials([user]) == {"recloop": None}


@pytest.mark.parametrize("security", ["SASL_PLAINTEXT", "SASL_SSL"])
@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
def test_the_right_password_is_accepted_a_wrong_one_refused(
    guarded: Guarded, tmp_path: Path, security: str, mechanism: str
) -> None:
    with closing(guarded.log(security, mechanism).open()) as reader:
        assert values(read(reader, 1)[0]) == [b"secret"]
    (tmp_path / "wrong").write_text("guessed")
    with closing(guarded.log(security, mechanism, tmp_path / "wrong").open()) as reader:
        with pytest.raises(LogRefusedError, match=r"topic guarded .*AuthenticationFailed") as refused:
            read(reader, 1)
        assert "guessed" not in str(refused.value)


def test_tls_alone_is_accepted(guarded: Guarded) -> None:
    with closing(guarded.log("SSL").open()) as reader:
        assert values(read(reader, 1)[0]) == [b"secret"]


def test_a_broker_with_a_stranger_s_certificate_is_not_read(guarded: Guarded, tmp_path: Path) -> None:
    make_certificate(tmp_path)
    guarded_log = guarded.log("SSL")
    stranger = KafkaLog(
        connection=KafkaConnection(
            brokers=guarded_log.connection.brokers, security="SSL", ca_file=tmp_path / "certificate.pem"
        ),
        topic="guarded",
        group="recloop",
        start_offsets=(),
        skip_gone=False,
    )
    with closing(stranger.open()) as reader:
        until(lambda: reader.silent_ms() > 3_000)
        assert reader.poll(0, 0, b"", 1) == Poll([], 0, b"", more=False)


def test_a_secret_that_is_not_there_is_told(guarded: Guarded, tmp_path: Path) -> None:
    with (
        closing(guarded.log("SASL_SSL", "PLAIN", tmp_path / "none").open()) as reader,
        pytest.raises(SecretMissingError, match=str(tmp_path / "none")),
    ):
        read(reader, 1)


def test_lists_for_a_broker_that_refuses_are_not_kept_waiting(guarded: Guarded, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_text("guessed")
    connection = guarded.log("SASL_PLAINTEXT", "PLAIN", tmp_path / "wrong").connection
    with (
        closing(KafkaPublisher("guarded", connection, None)) as publisher,
        pytest.raises(PublishError, match=r"topic guarded .* can't be written: .*AuthenticationFailed") as refused,
    ):
        asyncio.run(publisher.publish([OutRecord(b"key", b"value", 0, [])]))
    assert "guessed" not in str(refused.value)


def test_flink_s_own_connector_is_accepted_too_and_what_it_does_not_hand_on_is_counted(
    guarded: Guarded, bundle: Bundle, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("s3cret")
    produce_in_transaction(guarded.broker, "guarded", b"not json either")
    produce(guarded.broker, "guarded", 0, [b"behind the transaction's mark"])
    connection = guarded.log("SASL_SSL").connection
    settings = [
        *("log.kind=kafka", "log.topic=guarded", f"kafka.brokers={connection.brokers}", "kafka.connector=native"),
        *("kafka.security=SASL_SSL", "kafka.mechanism=SCRAM-SHA-512", "kafka.username=recloop"),
        *(f"kafka.password=file:{tmp_path / 'password'}", f"kafka.ca_file={guarded.ca_file}"),
    ]
    spec = ClusterSpec(tmp_path / "cluster", jars=(connector_jar(CACHE),))
    with trial_cluster(spec, timeout_s=120) as cluster, jobs_on(cluster, bundle, tmp_path) as deployed:
        run = deployed(None, *settings)
        run.wait_for_offsets(3)
        assert run.count("dead_letters", "reason = 'not_json'") == 3
        with FlinkRest(cluster.rest_url) as rest:
            assert fresh_counts(rest, run.deployment.job_id).total(Metric.OFFSETS_GONE) == 1


def produce_in_transaction(broker: RunningBroker, topic: str, value: bytes) -> None:
    from kafka import KafkaProducer

    with closing(KafkaProducer(bootstrap_servers=broker.bootstrap, transactional_id=topic)) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        producer.send(topic, value, partition=0)
        producer.commit_transaction()

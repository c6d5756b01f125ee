"""The settings of the connection to Kafka, and of the topics that are written."""

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from job.settings.given import SettingsError
from job.settings.values import Brokers, File, Folder, Name, Partitions, SettingsGroup, Topic
from model.registry.urls import absolute_place
from udfs.kafka.connection import DEFAULT_SECURITY, KafkaConnection, Secret


def _place(value: object) -> object:
    if isinstance(value, str) and (value.partition(":")[0] not in {"file", "env"} or not value.partition(":")[2]):
        # The message leaves out the value, which may be the secret itself.
        kind, msg = "secret_place", "give the place of the secret, file:PATH or env:NAME, not the secret itself"
        raise PydanticCustomError(kind, msg)
    return value


_SecretPlace = Annotated[str, BeforeValidator(_place)]


class KafkaSettings(SettingsGroup):
    """The connection to Kafka."""

    brokers: Brokers | None = Field(
        None, description="host:port, separated by commas; needed where a topic is read or written"
    )
    connector: Literal["python", "native"] = Field(
        "python", description="native: Flink's own, where its jar is on the cluster"
    )
    security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        DEFAULT_SECURITY, description="PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"
    )
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = Field(
        None, description="SASL mechanism: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512"
    )
    username: Name | None = Field(None, description="SASL user name")
    password: _SecretPlace | None = Field(
        None, description="SASL password: file:PATH or env:NAME, on every TaskManager"
    )
    ca_file: File | None = Field(
        None, description="certificates of the brokers' authorities, as PEM; none: the system's"
    )
    certificate_file: File | None = Field(None, description="the client's certificate, where brokers want one")
    key_file: File | None = Field(None, description="private key of the client's certificate")
    key_password: _SecretPlace | None = Field(None, description="password of that key: file:PATH or env:NAME")

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.security.startswith("SASL") and None in (self.mechanism, self.username, self.password):
            msg = f"{self.security} needs kafka.mechanism, kafka.username and kafka.password"
            raise ValueError(msg)
        return self

    def resolved(self) -> "KafkaSettings":
        """Return the settings with every path absolute, those of secrets too."""
        files, secrets = ("ca_file", "certificate_file", "key_file"), ("password", "key_password")
        paths = {name: path.absolute() for name in files if (path := getattr(self, name)) is not None}
        places = {name: absolute_place(place) for name in secrets if (place := getattr(self, name))}
        return self.model_copy(update={**paths, **places})

    def connection(self) -> KafkaConnection:
        """Return the connection for the operators.

        Raises:
            SettingsError: there are no brokers.
        """
        if self.brokers is None:
            msg = "kafka.brokers is needed, as --set kafka.brokers=host:9092"
            raise SettingsError(msg)
        return KafkaConnection(
            brokers=self.brokers,
            password=None if self.password is None else Secret(self.password),
            key_password=None if self.key_password is None else Secret(self.key_password),
            **self.model_dump(exclude={"brokers", "connector", "password", "key_password"}),
        )


class PublishSettings(SettingsGroup):
    """The rows that are also published, beside the tables: to Kafka, or to files that are followed as they grow."""

    lists_topic: Topic | None = Field(
        None, description="every new list, keyed by user; `recloop deploy` makes it, compacted"
    )
    lists_folder: Folder | None = Field(
        None,
        description="every new list, appended to files in this folder, which `recloop serve` follows without Kafka",
    )
    dead_letters_topic: Topic | None = Field(
        None, description="every dead letter, its reason in headers; `recloop deploy` makes it"
    )
    partitions: Partitions = Field(4, description="of a topic that `recloop deploy` makes")
    compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = Field(
        "lz4", description="none, gzip, snappy, lz4 or zstd"
    )

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that are written."""
        return tuple(topic for topic in (self.lists_topic, self.dead_letters_topic) if topic is not None)

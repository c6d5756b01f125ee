"""Settings with which the job and its commands connect to Kafka: the places of secrets, never the secrets themselves.

A `KafkaConnection` is pickled into the job and written into its settings file, so it holds the name of a variable or
the path of a file; each is read where the connection is made, on every TaskManager of its own.
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from udfs.errors import LogError

DEFAULT_SECURITY: Final = "PLAINTEXT"
"""The default of a connection's security, here and in the settings."""
_FIRST_ANSWER_MS = 10_000
"""Longest wait for the first broker that answers."""


class SecretMissingError(LogError):
    """A variable or file that should hold a secret or a certificate, and is not there."""


@dataclass(frozen=True, slots=True)
class Secret:
    """The place of a secret.

    Attributes:
        place: `file:/run/secrets/kafka` or `env:KAFKA_PASSWORD`.
    """

    place: str

    def read(self) -> str:
        """Return the secret; of a file its content without the newline at its end.

        Raises:
            SecretMissingError: there is nothing in that place.
        """
        whole = self.read_whole()
        return whole if self.place.startswith("env:") else whole.rstrip("\r\n")

    def read_whole(self) -> str:
        """Return all that stands in that place; raise as `read` does."""
        kind, _, name = self.place.partition(":")
        try:
            secret = os.environ[name] if kind == "env" else Path(name).read_bytes().decode()
        except (KeyError, OSError, UnicodeDecodeError) as error:
            source = f"the variable {name}" if kind == "env" else f"the file {name}"
            msg = f"a secret should be in {source}, which can't be read here: it is needed on every TaskManager too"
            raise SecretMissingError(msg) from error
        return secret


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaConnection:
    """Brokers, and the credentials that they ask for.

    Attributes:
        brokers: host:port, separated by commas.
        security: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL.
        mechanism: of SASL: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
        username: of SASL.
        password: of SASL.
        ca_file: certificates of authorities that may have signed the brokers'; None takes the system's.
        certificate_file: the client's own certificate, where brokers ask for one.
        key_file: that certificate's key.
        key_password: of that key.
    """

    brokers: str
    security: str = DEFAULT_SECURITY
    mechanism: str | None = None
    username: str | None = None
    password: Secret | None = None
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    key_password: Secret | None = None

    def client_options(self) -> dict[str, Any]:
        """Return the options of every client of kafka-python; read the secrets.

        Raises:
            SecretMissingError: one is not there, or a file of certificates.
        """
        options: dict[str, Any] = {
            "bootstrap_servers": self.brokers.split(","),
            "security_protocol": self.security,
            "bootstrap_timeout_ms": _FIRST_ANSWER_MS,
            "reconnect_backoff_max_ms": 1_000,
        }
        if self.security.startswith("SASL"):
            options |= {"sasl_mechanism": self.mechanism, "sasl_plain_username": self.username}
            options["sasl_plain_password"] = self.password.read() if self.password else None
        if self.security.endswith("SSL"):
            options |= {
                "ssl_cafile": _readable("kafka.ca_file", self.ca_file),
                "ssl_certfile": _readable("kafka.certificate_file", self.certificate_file),
                "ssl_keyfile": _readable("kafka.key_file", self.key_file),
                "ssl_password": self.key_password.read() if self.key_password else None,
            }
        return options


def _readable(setting: str, path: Path | None) -> str | None:
    """Return the path as text, after a check that the file can be read.

    Without the check a client would try for 10 s, and then report that nobody answers.

    Raises:
        SecretMissingError: there is no such file that can be read.
    """
    if path is None:
        return None
    try:
        path.open("rb").close()
    except OSError as error:
        msg = f"{setting}: the file {path} can't be read here ({error.strerror}): it is needed on every TaskManager too"
        raise SecretMissingError(msg) from error
    return str(path)

"""Settings of a server: options of `recloop serve`, or variables RECLOOP_SERVE_NAME; keys only by variable or file."""

import ipaddress
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from job.cluster import DEFAULT_DIRECTORY
from job.serving.errors import ServingError
from job.settings.refusals import refusal

_SHORTEST_KEY = 16


class ServeSettings(BaseSettings):
    """The settings of one server process."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="RECLOOP_SERVE_", hide_input_in_errors=True, validate_default=True
    )

    host: str = Field("127.0.0.1", description="address to listen at; beyond loopback only with keys and TLS")
    port: int = Field(8080, ge=0, le=65_535, description="port to listen at; 0: a free one")
    store: Path = Field(Path(".recloop/serving"), description="folder of this process's own copy of all lists")
    bundle: Path | None = Field(None, description="bundle or prepared data set: titles, groups, similar items")
    cluster: Path = Field(DEFAULT_DIRECTORY, description="the cluster's state folder, for the page")
    job_name: str = Field("recloop", description="name of the job whose state the page shows")
    registry: str = Field(".recloop/registry", description="registry that the page shows, where models.url is not set")
    drill: Path = Field(Path(".recloop/drill"), description="folder of the last drill, for the page")
    keys: Annotated[tuple[SecretStr, ...], NoDecode] = Field(
        (), description="API keys, separated by commas; with one, every request needs one"
    )
    keys_file: Path | None = Field(None, description="file with one API key a line; in place of keys")
    tls_certificate: Path | None = Field(None, description="PEM file of the server's certificate chain")
    tls_key: Path | None = Field(None, description="PEM file of its key")
    host_names: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="names by which clients call the server, besides its address and localhost"
    )
    rate: float = Field(200.0, gt=0, le=1_000_000, description="requests a second that one client may send, lasting")
    burst: int = Field(400, ge=1, le=10_000_000, description="requests that one client may send at once")
    body_bytes: int = Field(1 << 20, ge=1_024, le=1 << 28, description="longest body of a request")
    batch: int = Field(1_000, ge=1, le=100_000, description="behaviours in one request at most")

    @field_validator("keys", "host_names", mode="before")
    @classmethod
    def _split(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.tls_certificate is None) != (self.tls_key is None):
            msg = "tls_certificate and tls_key are needed together"
            raise ValueError(msg)
        if not self.on_loopback and not (self.tls_certificate and (self.keys or self.keys_file)):
            msg = (
                f"host {self.host} is beyond loopback: that needs TLS (tls_certificate, tls_key) and API keys "
                "(RECLOOP_SERVE_KEYS or keys_file)"
            )
            raise ValueError(msg)
        return self

    @property
    def on_loopback(self) -> bool:
        """True if only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def read_keys(self) -> tuple[str, ...]:
        """Return the API keys; none if there need be none.

        Raises:
            ServingError: the file cannot be read or has no key, or a key is too short.
        """
        keys = [key.get_secret_value() for key in self.keys]
        if self.keys_file is not None:
            try:
                lines = self.keys_file.read_text().splitlines()
            except (OSError, UnicodeError) as error:
                msg = f"the file of API keys, {self.keys_file}, cannot be read: {error}"
                raise ServingError(msg) from error
            keys += [key for line in lines if (key := line.strip()) and not key.startswith("#")]
            if not keys:
                msg = f"{self.keys_file} has no API key: write one a line, as `openssl rand -hex 24` makes them"
                raise ServingError(msg)
        if any(len(key) < _SHORTEST_KEY or not key.isascii() for key in keys):
            msg = f"an API key is {_SHORTEST_KEY} ASCII characters at least, as `openssl rand -hex 24` makes them"
            raise ServingError(msg)
        return tuple(keys)


def serve_settings(**given: Any) -> ServeSettings:
    """Return the settings: what is given, above variables, above defaults; None is not given.

    Raises:
        ServingError: one has an impossible value; the text names it.
    """
    try:
        return ServeSettings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise ServingError(refusal(error, ServeSettings)) from error

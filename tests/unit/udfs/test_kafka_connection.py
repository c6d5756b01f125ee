"""Secrets are named by their place and read only where a connection is made."""

from pathlib import Path
from typing import Any

import pytest

from udfs.kafka.connection import KafkaConnection, Secret, SecretMissingError


def test_a_secret_of_a_file_loses_only_its_newline(tmp_path: Path) -> None:
    (tmp_path / "password").write_text(" pass word \n")
    assert Secret(f"file:{tmp_path / 'password'}").read() == " pass word "


def test_a_secret_that_is_not_there_is_named_by_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KAFKA_PASSWORD", raising=False)
    with pytest.raises(SecretMissingError, match="variable KAFKA_PASSWORD"):
        Secret("env:KAFKA_PASSWORD").read()
    with pytest.raises(SecretMissingError, match="file /nowhere/password"):
        Secret("file:/nowhere/password").read()


@pytest.mark.parametrize("setting", ["ca_file", "certificate_file", "key_file"])
def test_a_file_of_certificates_that_is_not_there_is_named(tmp_path: Path, setting: str) -> None:
    files: dict[str, Any] = {setting: tmp_path / "none.pem"}
    with pytest.raises(SecretMissingError, match=rf"kafka.{setting}: the file .*none.pem can't be read here"):
        KafkaConnection(brokers="a:9092", security="SSL", **files).client_options()


def test_only_the_client_s_options_hold_the_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KAFKA_PASSWORD", "hunter2")
    connection = KafkaConnection(
        brokers="a:9092,b:9092",
        security="SASL_SSL",
        mechanism="SCRAM-SHA-512",
        username="recloop",
        password=Secret("env:KAFKA_PASSWORD"),
        ca_file=tmp_path / "ca.pem",
    )
    (tmp_path / "ca.pem").touch()
    assert "hunter2" not in repr(connection)
    options = connection.client_options()
    assert options["bootstrap_servers"] == ["a:9092", "b:9092"]
    assert (options["sasl_plain_password"], options["ssl_cafile"]) == ("hunter2", str(tmp_path / "ca.pem"))

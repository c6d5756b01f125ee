"""A broker's artifacts come from the cache, or from a Maven client, or there is a word about it."""

from pathlib import Path

import pytest

from job.kafka.artifacts import VERSION, broker_jars
from job.kafka.errors import FetchFailedError, NoMavenError
from job.kafka.server_properties import as_text, server_properties


def test_without_a_maven_client_the_message_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoMavenError, match="install Maven"):
        broker_jars(tmp_path / "cache")


def test_what_is_cached_needs_no_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    cached = tmp_path / f"kafka-{VERSION}"
    cached.mkdir()
    assert broker_jars(tmp_path) == cached


def test_a_client_that_fails_is_quoted_and_nothing_is_cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    client = tmp_path / "mvn"
    client.write_text("#!/bin/sh\necho '[ERROR] no such artifact'\nexit 1\n")
    client.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(FetchFailedError, match="no such artifact"):
        broker_jars(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_property_of_ones_own_replaces_ours(tmp_path: Path) -> None:
    text = as_text(server_properties(tmp_path, 1, 2, {"broker.heartbeat.interval.ms": "7", "a.b": "c"}))
    assert "broker.heartbeat.interval.ms=7\n" in text
    assert text.endswith("a.b=c\n")

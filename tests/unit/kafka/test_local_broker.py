"""The development broker of a state folder: when its record is read, and what a broker that dies leaves."""

import json
import os
from pathlib import Path

import psutil
import pytest

from job.commands.local_broker import connection_of, settings_of
from job.kafka import broker
from job.kafka.errors import BrokerFailedError
from job.settings.given import SettingsError


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    (tmp_path / "broker.json").write_bytes(b"{")
    return tmp_path


@pytest.fixture
def running(tmp_path: Path) -> Path:
    """A state folder whose broker seems to be this process."""
    created = psutil.Process().create_time()
    record = {"pid": os.getpid(), "created": created, "port": 20_001, "controller_port": 20_002}
    (tmp_path / "broker.json").write_text(json.dumps(record))
    return tmp_path


def test_where_brokers_are_named_no_record_is_read(damaged: Path) -> None:
    assert connection_of(None, ["kafka.brokers=other:9092"], damaged).brokers == "other:9092"
    assert settings_of(None, ["log.kind=kafka", "kafka.brokers=other:9092"], damaged).kafka.brokers == "other:9092"


def test_where_no_topic_is_meant_no_record_is_read(damaged: Path) -> None:
    assert settings_of(None, ["log.folder=/x"], damaged).log.folder == Path("/x")


def test_a_damaged_record_is_told_where_a_topic_is_meant(damaged: Path) -> None:
    with pytest.raises(BrokerFailedError, match=r"broker\.json is damaged"):
        connection_of(None, None, damaged)
    with pytest.raises(BrokerFailedError, match=r"broker\.json is damaged"):
        settings_of(None, ["log.kind=kafka"], damaged)


def test_the_broker_that_runs_is_taken_where_none_is_named(running: Path) -> None:
    assert connection_of(None, None, running).brokers == "127.0.0.1:20001"
    assert connection_of(None, ["log.kind=kafka"], running).brokers == "127.0.0.1:20001"
    assert connection_of(None, ["kafka.brokers=other:9092"], running).brokers == "other:9092"
    assert settings_of(None, ["log.kind=kafka"], running).kafka.brokers == "127.0.0.1:20001"


def test_wrong_settings_are_told_whether_a_broker_runs_or_not(running: Path, tmp_path: Path) -> None:
    for folder in (running, tmp_path / "none"):
        with pytest.raises(SettingsError, match="lenght"):
            settings_of(None, ["lists.lenght=5"], folder)
    with pytest.raises(SettingsError, match=r"kafka\.brokers is needed"):
        settings_of(None, ["log.kind=kafka"], tmp_path / "none")


def test_a_broker_that_goes_while_it_is_looked_at_has_died(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "pid_exists", lambda _: True)
    log = tmp_path / "broker.log"
    log.write_text("ERROR no room\n")
    gone = broker.RunningBroker(bootstrap="127.0.0.1:1", pid=2**22 + 1, directory=tmp_path)
    with pytest.raises(BrokerFailedError, match="the broker died: ERROR no room"):
        broker._await_ready(gone, 1, log, 5)

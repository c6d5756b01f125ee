"""The broker of a state folder, which commands take where the settings name no brokers."""

from pathlib import Path
from typing import Annotated

import typer

from job.commands.options import fail
from job.kafka import broker
from job.settings.job_settings import JobSettings, SettingsError, load
from udfs.kafka.connection import KafkaConnection

BrokerDirectory = Annotated[Path, typer.Option("--dir", help="The broker's state folder: topics, log, ports.")]


def settings_of(settings_file: Path | None, overrides: list[str] | None, directory: Path) -> JobSettings:
    """Return the settings, of which no model is needed.

    Where they read or write a topic and name no brokers, these are the state folder's.

    Raises:
        SettingsError: settings are unknown or have impossible values.
        BrokerFailedError: the record of the state folder's broker is needed, and damaged.
    """
    try:
        return load(settings_file, overrides or (), needs_model=False)
    except SettingsError:
        # They may lack only the brokers.
        running = broker.find(directory)
        if running is None:
            raise
    defaults = {"kafka": {"brokers": running.bootstrap}}
    return load(settings_file, overrides or (), defaults=defaults, needs_model=False)


def connection_of(settings_file: Path | None, overrides: list[str] | None, directory: Path) -> KafkaConnection:
    """Return a connection to the brokers that the settings name, else to the one of the state folder.

    Raises:
        SettingsError: settings are unknown or have impossible values.
        BrokerFailedError: the record of the state folder's broker is needed, and damaged.
    """
    kafka = settings_of(settings_file, overrides, directory).resolved().kafka
    if kafka.brokers is None:
        running = broker.find(directory)
        if running is None:
            fail(f"no broker runs in {directory}: recloop kafka start, or --set kafka.brokers=HOST:PORT")
        kafka = kafka.model_copy(update={"brokers": running.bootstrap})
    return kafka.connection()

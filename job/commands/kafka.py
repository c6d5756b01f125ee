"""`recloop kafka start|stop|topics|connector|lag`: a Kafka broker for development, and the topics of any other."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich.table import Table

from job.commands.local_broker import BrokerDirectory, connection_of
from job.commands.options import AsJson, Overrides, ReadyWithin, SettingsFile, console, stop_on_errors, tcp_port
from job.commands.output import print_line
from job.kafka import artifacts, broker, topics
from udfs.log.file_log import MOST_PARTITIONS

app = typer.Typer(help="A Kafka broker for development, on loopback; topics and lags.", no_args_is_help=True)


@app.command()
def start(
    directory: BrokerDirectory = broker.DEFAULT_DIRECTORY,
    port: Annotated[int | None, tcp_port("Where clients connect; a free one if not given.")] = None,
    timeout_s: ReadyWithin = 30,
) -> None:
    """Start a single-node Kafka, or report that it runs; Maven fetches it the first time."""
    began = time.monotonic()
    with stop_on_errors():
        if (running := broker.find(directory)) is not None:
            console.print(f"A broker already runs in {directory}: {running.bootstrap}")
            return
        with console.status("starting") as spinner:
            spec = broker.BrokerSpec(directory, port)
            started = broker.start(spec, timeout_s=timeout_s, on_progress=spinner.update)
    console.print(f"Ready in {time.monotonic() - began:.1f} s: {started.bootstrap}")


@app.command()
def stop(directory: BrokerDirectory = broker.DEFAULT_DIRECTORY) -> None:
    """End the broker; its topics stay in the folder."""
    running = broker.find(directory)
    if running is not None:
        running.stop()
    console.print("Stopped" if running else "No broker was running")


@app.command("topics")
def show_topics(
    directory: BrokerDirectory = broker.DEFAULT_DIRECTORY,
    settings_file: SettingsFile = None,
    overrides: Overrides = None,
    create: Annotated[
        str | None, typer.Option(metavar="NAME", help="Make this topic first, unless it is there.")
    ] = None,
    partitions: Annotated[int, typer.Option(min=1, max=MOST_PARTITIONS, help="Of the topic that is made.")] = 4,
    as_json: AsJson = False,
) -> None:
    """List topics with their partitions and the number of offsets they hold."""
    with stop_on_errors():
        connection = connection_of(settings_file, overrides, directory)
        if create is not None:
            topics.ensure_topic(connection, create, partitions)
        found = topics.topics(connection)
    _show(["topic", "partitions", "offsets"], [asdict(each) for each in found], as_json=as_json)


@app.command()
def connector() -> None:
    """Fetch the jar of Flink's own Kafka connector, for kafka.connector=native, and print its path.

    Example:
      recloop cluster start --jar $(recloop kafka connector)
    """
    with stop_on_errors(), console.status("looking into the cache") as spinner:
        jar = artifacts.connector_jar(on_progress=spinner.update)
    print_line(jar)


@app.command()
def lag(
    group: Annotated[str, typer.Argument(help="The consumer group; the job's is log.group.")] = "recloop",
    directory: BrokerDirectory = broker.DEFAULT_DIRECTORY,
    settings_file: SettingsFile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Show the lag of a consumer group behind the ends of its partitions."""
    with stop_on_errors():
        found = topics.group_lags(connection_of(settings_file, overrides, directory), group)
    rows = [{**asdict(each), "lag": each.lag} for each in found]
    _show(["topic", "partition", "committed", "end", "lag"], rows, as_json=as_json)


def _show(titles: Sequence[str], rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_line(json.dumps(rows))
        return
    table = Table(*titles)
    for row in rows:
        table.add_row(*(str(value) for value in row.values()))
    console.print(table)

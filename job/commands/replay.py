"""`recloop replay`: a data set appended to the embedded log or a Kafka topic, at a given pace."""

import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from job.commands.local_broker import BrokerDirectory, connection_of, settings_of
from job.commands.options import AsJson, Overrides, PreparedSet, SettingsFile, console, find_dataset, stop_on_errors
from job.commands.output import print_line
from job.kafka.broker import DEFAULT_DIRECTORY
from job.replay.files_target import FilesTarget
from job.replay.replay import Pace, Replayed
from job.replay.replay import replay as replay_dataset
from job.replay.topic_target import TopicTarget
from model.datasets.prepared import Dataset
from udfs.log.file_log import MOST_PARTITIONS

EXAMPLES = """
Examples:

recloop replay ml-100k --speed 1000x

recloop kafka start && recloop replay ml-100k --to kafka --rate 500

recloop replay ml-100k --to kafka --topic clicks --set kafka.brokers=kafka-1:9092,kafka-2:9092
"""
_PARTITIONS_HELP = "Of a log or topic that is not there yet; log.partitions."
_FASTEST = 1_000_000_000
"""The highest rate, and the largest factor, of a pace."""


class To(StrEnum):
    """The target of a replay."""

    FILES = "files"
    KAFKA = "kafka"


class Compression(StrEnum):
    """The compression of the batches that a producer sends."""

    NONE = "none"
    LZ4 = "lz4"
    ZSTD = "zstd"
    SNAPPY = "snappy"
    GZIP = "gzip"


def replay(
    dataset: PreparedSet,
    to: Annotated[To | None, typer.Option(help="The embedded log of files, or a Kafka topic; log.kind.")] = None,
    speed: Annotated[
        str | None, typer.Option(metavar="FACTORx", help="Event time runs so many times faster, as 1000x.")
    ] = None,
    rate: Annotated[float | None, typer.Option(min=0.001, max=_FASTEST, help="Behaviours a second.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, max=10**12, help="Only the first so many.")] = None,
    partitions: Annotated[int | None, typer.Option(min=1, max=MOST_PARTITIONS, help=_PARTITIONS_HELP)] = None,
    log: Annotated[Path | None, typer.Option(help="files: the folder, made if not there; log.folder.")] = None,
    topic: Annotated[str | None, typer.Option(help="kafka: the topic, made if not there; log.topic.")] = None,
    compression: Annotated[Compression, typer.Option(help="kafka: of the batches.")] = Compression.LZ4,
    directory: BrokerDirectory = DEFAULT_DIRECTORY,
    settings_file: SettingsFile = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Append a data set's behaviours to a log, in time order; Ctrl-C stops, the same command goes on.

    Without --speed or --rate they go as fast as the log takes them. A user's behaviours are in the
    partition crc32(user_id) % partitions. Nothing is appended twice, whatever ended the command;
    so nothing else may append to the log before the command is done.

    What no option gives comes from the settings of the same name: log.kind, log.folder, log.topic, log.partitions.

    A topic is on the brokers of the settings (kafka.brokers and the other kafka settings), else on the
    development broker of --dir, as recloop kafka start runs it.
    """
    pace = _pace(speed, rate)
    with stop_on_errors():
        source = find_dataset(dataset)
        given = settings_of(settings_file, overrides, directory).log
        opened: FilesTarget | TopicTarget
        if (to or given.kind) == To.FILES:
            opened = FilesTarget(given.folder if log is None else log, partitions, new=given.partitions)
        else:
            squeezed = None if compression is Compression.NONE else compression.value
            connection = connection_of(settings_file, overrides, directory)
            named = given.topic if topic is None else topic
            opened = TopicTarget(connection, named, partitions, new=given.partitions, compression=squeezed)
        with opened as target:
            done = _replay(source, target, pace, limit)
    if as_json:
        print_line(json.dumps(asdict(done)))
    elif done.appended:
        earlier = f", {done.before:,} were there" if done.before else ""
        console.print(f"Appended {done.appended:,} behaviours to {target.name} in {done.seconds:.1f} s{earlier}.")
    else:
        console.print(f"All {done.before:,} behaviours were in {target.name} already.")


def _replay(source: Dataset, target: FilesTarget | TopicTarget, pace: Pace, limit: int | None) -> Replayed:
    """Replay with a progress bar."""
    with console.bar(remaining=True) as bar:
        task = bar.add_task(source.info.name, total=min(source.info.behaviors, limit or source.info.behaviors))
        try:
            return replay_dataset(
                source,
                target,
                pace=pace,
                limit=limit,
                on_progress=lambda count: bar.update(task, completed=count),
            )
        except KeyboardInterrupt:
            bar.stop()
            console.print("Stopped. The same command goes on from here.")
            raise typer.Exit(130) from None


def _pace(speed: str | None, rate: float | None) -> Pace:
    """Return the pace that the options name.

    Raises:
        BadParameter: both are given, or the speed is no factor.
    """
    if speed is None:
        return Pace(rate=rate)
    if rate is not None:
        msg = "give --speed or --rate, not both"
        raise typer.BadParameter(msg)
    try:
        factor = float(speed.removesuffix("x"))
    except ValueError:
        factor = 0.0
    if not 0.000_001 <= factor <= _FASTEST:  # NaN is refused too
        msg = f"give a factor from 0.000001 to {_FASTEST:,}, as 1000x, not {speed!r}"
        raise typer.BadParameter(msg, param_hint="'--speed'")
    return Pace(speed=factor)

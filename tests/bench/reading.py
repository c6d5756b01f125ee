"""How fast a topic is read, and which share of the job's CPU that takes: `python -m tests.bench.reading`.

One run, one machine: a plain kafka-python loop, then our reader and Flink's own connector, each by itself (the job cut
off behind poll-log) and in the whole job with a model. CPU seconds are those of the TaskManager and its workers,
the brokers' and the JobManager's apart, between a tenth and nine tenths of the way.
"""

import shutil
import tempfile
import time
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import psutil
from kafka import KafkaConsumer, TopicPartition
from rich.console import Console
from rich.table import Table

from job.cluster import ClusterSpec, FlinkRest, RunningCluster
from job.deployment.import_graph import PACKAGES
from job.deployment.shipping import PROJECT
from job.deployment.status import counted
from job.kafka.artifacts import connector_jar
from job.kafka.broker import BrokerSpec
from job.kafka.broker import start as start_broker
from job.replay.replay import replay
from job.replay.topic_target import TopicTarget
from job.settings.job_settings import load
from job.trial import end_job, launch, trial_cluster
from model.bundles.bundle import Bundle
from model.datasets.generate import Synthetic, generate
from model.datasets.prepared import Dataset
from model.fit import FitConfig, fit
from model.training.train import TrainConfig
from tests.unit.udfs.default_rules import PARSING
from udfs.flink.metrics import Metric
from udfs.kafka.connection import KafkaConnection
from udfs.log.parsing import LogRecord, parse

ALONE, WHOLE = 500_000, 40_000
_PIPELINE = '''"""poll-log, and nothing behind it."""

from job.topology.operators import Operators
from job.topology.sources import log_input
from job.topology.streams import element_type, keyed, step, use_thread_mode


def build(env, settings, plan):
    """Reads, parses and groups."""
    operators = Operators(settings, plan)
    use_thread_mode(env)
    read = log_input(env, operators, settings, plan)
    step(keyed(read).process(operators.poll_log, element_type()), "poll-log")
'''


class Sample(NamedTuple):
    """What was read or made at one moment, and the CPU seconds spent until then."""

    seconds: float
    cpu_s: float
    events: int


class Speed(NamedTuple):
    """Events a second, and microseconds of CPU per event."""

    events_per_s: float
    cpu_us: float


def main() -> None:
    """Measures, and prints the table."""
    console = Console()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = start_broker(BrokerSpec(folder / "broker"), timeout_s=60)
        stack.callback(broker.stop)
        connection = KafkaConnection(brokers=broker.bootstrap)
        fill(connection, folder, "alone", ALONE)
        dataset = fill(connection, folder, "whole", WHOLE)
        bundle = fit(dataset, folder / "bundle", FitConfig(settings=TrainConfig(epochs=1)), datetime.now(UTC)).bundle
        speeds = {"a plain kafka-python loop, parsing": plain_loop(connection, "alone")}
        spec = ClusterSpec(folder / "cluster", jars=(connector_jar(),))
        cluster = stack.enter_context(trial_cluster(spec))
        short = cut_off(folder / "short")
        for connector in ("python", "native"):
            speeds[f"{connector}: reading alone"] = run(cluster, connection, connector, bundle, short)
            speeds[f"{connector}: the whole job"] = run(cluster, connection, connector, bundle, PROJECT)
    show(console, speeds)


def fill(connection: KafkaConnection, folder: Path, topic: str, behaviors: int) -> Dataset:
    """A topic of generated behaviours."""
    dataset = generate(Synthetic(users=5_000, items=2_000, behaviors=behaviors), folder / topic, topic)
    with TopicTarget(connection, topic, 4, replays=folder / "replays") as target:
        replay(dataset, target)
    return dataset


def plain_loop(connection: KafkaConnection, topic: str) -> Speed:
    """Poll and parse on one thread (kafka-python has one more)."""
    rules, seen = PARSING, 0
    with closing(KafkaConsumer(bootstrap_servers=connection.brokers, enable_auto_commit=False)) as consumer:
        partitions = [TopicPartition(topic, number) for number in range(4)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        began, cpu = time.monotonic(), time.process_time()
        while seen < ALONE:
            for records in consumer.poll(timeout_ms=100, max_records=2_048).values():
                seen += len(records)
                for record in records:
                    raw = LogRecord(record.partition, record.offset, record.value, len(record.value))
                    parse(raw, rules, newest_ms=0, now_ms=int(time.time() * 1000))
    return Speed(seen / (time.monotonic() - began), (time.process_time() - cpu) / seen * 1e6)


def cut_off(folder: Path) -> Path:
    """The packages, with a pipeline that ends behind poll-log."""
    for package in PACKAGES:
        shutil.copytree(PROJECT / package, folder / package)
    (folder / "job" / "pipeline.py").write_text(_PIPELINE)
    return folder


def run(cluster: RunningCluster, connection: KafkaConnection, connector: str, bundle: Bundle, code: Path) -> Speed:
    """Deploys, waits until the topic is read or all lists are made, and cancels."""
    topic, metric, total = ("whole", Metric.LISTS, WHOLE) if code == PROJECT else ("alone", Metric.NEXT_OFFSET, ALONE)
    overrides = [
        *("log.kind=kafka", f"kafka.brokers={connection.brokers}", f"log.topic={topic}"),
        *(f"kafka.connector={connector}", f"scoring.bundle={bundle.path}", f"job_name={connector}-{topic}"),
        f"tables.folder={cluster.directory / f'tables-{connector}'}",
    ]
    done = launch(cluster, load(overrides=overrides), code=code)
    with FlinkRest(cluster.rest_url) as rest:
        samples = [sample(cluster, rest, done.job_id, metric)]
        while samples[-1].events < total:
            time.sleep(0.5)
            samples.append(sample(cluster, rest, done.job_id, metric))
        end_job(rest, done.job_id)
    return between(samples, total)


def sample(cluster: RunningCluster, rest: FlinkRest, job_id: str, metric: Metric) -> Sample:
    """Now."""
    counts = counted(rest, rest.job(job_id))
    events = sum(counts.next_offsets.values()) if metric is Metric.NEXT_OFFSET else counts.total(metric)
    return Sample(time.monotonic(), cpu_seconds(cluster), events)


def cpu_seconds(cluster: RunningCluster) -> float:
    """Of all TaskManagers and what they started."""
    spent = 0.0
    for each in cluster.task_managers():
        if each.pid is not None:
            process = psutil.Process(each.pid)
            for one in (process, *process.children(recursive=True)):
                spent += sum(one.cpu_times()[:2])
    return spent


def between(samples: list[Sample], total: int) -> Speed:
    """The speed between a tenth and nine tenths of the way, as far as there are samples."""
    inner = [each for each in samples if 0.1 * total <= each.events <= 0.9 * total]
    first, last = (inner[0], inner[-1]) if len(inner) > 1 else (samples[0], samples[-1])
    events = last.events - first.events
    return Speed(events / (last.seconds - first.seconds), (last.cpu_s - first.cpu_s) / events * 1e6)


def show(console: Console, speeds: dict[str, Speed]) -> None:
    """The table, and the shares."""
    table = Table("what", "events/s", "CPU us an event")
    for name, speed in speeds.items():
        table.add_row(name, f"{speed.events_per_s:,.0f}", f"{speed.cpu_us:.1f}")
    console.print(table)
    for connector in ("python", "native"):
        share = speeds[f"{connector}: reading alone"].cpu_us / speeds[f"{connector}: the whole job"].cpu_us
        console.print(f"{connector}: reading takes {share:.0%} of the job's CPU (goal: under 20 %)")


if __name__ == "__main__":
    main()

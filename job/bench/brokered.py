"""(d) The peers that read a topic, and the job over the same kind of topic, with a broker on the same two cores.

A peer is two processes of one consumer group; the broker counts its lists as records of its output topic.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec
import psutil
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from job.bench.errors import BenchError
from job.bench.live import PARTITIONS, Live, append_all, bench_cluster, fill_and_score, job_settings
from job.bench.peers_environment import peers_python
from job.bench.plain_pyflink import prepared_records
from job.bench.whole_job import TimedJob, WholeJob, in_each_form, time_job
from job.bench.workload import LISTED, Workload
from job.cluster import FlinkRest
from job.deployment.shipping import PROJECT
from job.kafka.broker import BrokerSpec, find, start
from job.kafka.topics import create_topic, end_offsets
from job.replay.topic_target import TopicTarget
from model.waiting import polls
from udfs.hashing import stable_hash
from udfs.kafka.connection import KafkaConnection

_Form = Literal["documented", "batched"]
_PROCESSES = 2
_START_S = 60.0
_FIRST_LIST_S = 120.0
_END_S = 10.0
_POLL_S = 0.25
_INPUT = "behaviors"


@dataclass(frozen=True, slots=True)
class PeerSpeed:
    """The speeds of a peer, in lists a second: as its documentation shows it, and with our batching."""

    documented_per_s: float
    batched_per_s: float


@contextmanager
def bench_broker(workload: Workload) -> Iterator[KafkaConnection]:
    """Start a separate broker with an empty folder; stop and remove it after the block."""
    folder = workload.folder / "broker"
    _end_brokers(folder)
    shutil.rmtree(folder, ignore_errors=True)
    workload.report("starting a broker")
    try:
        broker = start(BrokerSpec(folder), timeout_s=_START_S, on_progress=workload.report)
        yield KafkaConnection(brokers=broker.bootstrap)
    finally:
        _end_brokers(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _end_brokers(folder: Path) -> None:
    """End every broker of that folder, including one whose start was interrupted before it was recorded."""
    if (running := find(folder)) is not None:
        running.stop()
    for process in psutil.process_iter(["cmdline"]):
        if str(folder / "server.properties") in (process.info["cmdline"] or ()):
            with suppress(psutil.NoSuchProcess):
                process.kill()
                process.wait(_END_S)


def measure_job_from_kafka(workload: Workload) -> WholeJob:
    """Measure (b) again, over a topic."""
    return in_each_form(workload, lambda overrides: _time_from_kafka(workload, overrides))


def _time_from_kafka(workload: Workload, overrides: tuple[str, ...]) -> TimedJob:
    name = "kafka-job"
    with ExitStack() as stack:
        connection = stack.enter_context(bench_broker(workload))
        source = ("log.kind=kafka", f"kafka.brokers={connection.brokers}", f"log.topic={_INPUT}", *overrides)
        settings = job_settings(workload, workload.folder / name, source)
        slots = settings.slots
        cluster = stack.enter_context(bench_cluster(workload, name, task_managers=slots))
        topic = stack.enter_context(_topic(connection, workload))
        rest = stack.enter_context(FlinkRest(cluster.rest_url))
        live = Live(workload, cluster, rest, "", settings.tables.folder, topic, settings)
        return time_job(fill_and_score(live, workload.past(), workload.timed()))


def measure_quix(workload: Workload) -> PeerSpeed:
    """Measure Quix Streams, in its own environment."""
    return _measure(workload, peers_python(workload.report), "quix_app")


def measure_plain_loop(workload: Workload) -> PeerSpeed:
    """Measure a kafka-python loop, in the project's environment."""
    return _measure(workload, Path(sys.executable), "plain_loop")


def _measure(workload: Workload, python: Path, program: str) -> PeerSpeed:
    with bench_broker(workload) as connection:
        workload.report("filling the topic")
        _fill_topic(connection, workload)
        return PeerSpeed(
            _speed(workload, connection, python, program, "documented"),
            _speed(workload, connection, python, program, "batched"),
        )


def _fill_topic(connection: KafkaConnection, workload: Workload) -> None:
    """Write every user's history, then the timed behaviours, to the topic; a user is always in one partition."""
    create_topic(connection, _INPUT, PARTITIONS)
    producer = KafkaProducer(bootstrap_servers=connection.brokers, linger_ms=20, batch_size=1 << 17)
    for record in prepared_records(workload):
        user_id = msgspec.json.decode(record)["user_id"]
        partition = stable_hash(user_id) % PARTITIONS
        producer.send(_INPUT, value=record, key=user_id.encode(), partition=partition)
    producer.flush()
    producer.close()
    with _topic(connection, workload) as topic:
        append_all(topic, workload.timed())


def _topic(connection: KafkaConnection, workload: Workload) -> TopicTarget:
    return TopicTarget(connection, _INPUT, PARTITIONS, replays=workload.folder / "broker" / "replays")


def _speed(workload: Workload, connection: KafkaConnection, python: Path, program: str, form: _Form) -> float:
    """Return a peer's lists a second, as counted by the broker."""
    name, scale = f"{program}-{form}", workload.scale
    create_topic(connection, name, PARTITIONS)
    with _running(workload, connection, python, program, form) as processes:
        workload.report(f"{name}: waiting for its first lists")
        for _ in polls(timeout_s=_FIRST_LIST_S, poll_s=_POLL_S):
            if all(end_offsets(connection, name).values()):  # every partition has a list: all processes take part
                break
            _refuse_dead(processes, workload, name)
        else:
            msg = (
                f"{name} made no list of some partition in {_FIRST_LIST_S:g} s: look at {workload.folder}/{name}-*.log"
            )
            raise BenchError(msg)
        workload.report(f"{name}: timing for {scale.timed_s:g} s")
        time.sleep(scale.warm_s)
        began, before = time.monotonic(), _lists(connection, name)
        time.sleep(scale.timed_s)
        seconds, made = time.monotonic() - began, _lists(connection, name) - before
        _refuse_dead(processes, workload, name)
    _check_a_list(connection, name)
    return made / seconds


@contextmanager
def _running(
    workload: Workload, connection: KafkaConnection, python: Path, program: str, form: _Form
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start both processes, with their output in files; end them after the block."""
    name = f"{program}-{form}"
    processes: list[subprocess.Popen[bytes]] = []
    with ExitStack() as stack:
        stack.callback(_end, processes)
        for number in range(_PROCESSES):
            state = workload.folder / "broker" / f"{name}-{number}"
            state.mkdir(parents=True)
            values = {"--brokers": connection.brokers, "--group": name, "--input": _INPUT, "--output": name}
            more = {"--bundle": workload.bundle.path, "--form": form, "--state": state}
            options = [str(part) for pair in {**values, **more}.items() for part in pair]
            log = stack.enter_context((workload.folder / f"{name}-{number}.log").open("wb"))
            environ = {**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
            command = [str(python), "-m", f"job.bench.peers.{program}", *options]
            processes.append(subprocess.Popen(command, env=environ, stdout=log, stderr=log))
        yield processes


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(_END_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _refuse_dead(processes: list[subprocess.Popen[bytes]], workload: Workload, name: str) -> None:
    if any(process.poll() is not None for process in processes):
        msg = f"{name} died: look at {workload.folder}/{name}-*.log"
        raise BenchError(msg)


def _lists(connection: KafkaConnection, topic: str) -> int:
    return sum(end_offsets(connection, topic).values())


def _check_a_list(connection: KafkaConnection, topic: str) -> None:
    """Check that lists have their full length: a peer with shorter lists would have less work."""
    consumer = KafkaConsumer(bootstrap_servers=connection.brokers, enable_auto_commit=False)
    try:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        polled = consumer.poll(timeout_ms=10_000, max_records=100)
    finally:
        consumer.close()
    lengths = {len(msgspec.json.decode(each.value)["items"]) for records in polled.values() for each in records}
    if lengths != {LISTED}:
        msg = f"{topic} has lists of {sorted(lengths)} items, not of {LISTED}"
        raise BenchError(msg)

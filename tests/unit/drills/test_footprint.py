"""What a cluster uses of its machine."""

import os
import socket

import psutil

from job.drills.footprint import _measured, kind_of


def test_processes_are_told_apart_by_their_command() -> None:
    assert kind_of(["java", "-cp", "x", "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"]) == "TaskManager"
    assert kind_of(["java", "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"]) == "JobManager"
    assert kind_of(["python", "-m", "pyflink.fn_execution.beam.beam_boot"]) == "Python worker"
    assert kind_of(["python", "-m", "job.cluster.worker_forks"]) == "Python worker"
    assert kind_of(["sh"]) == "other"


def test_ports_and_memory_of_living_processes_are_counted() -> None:
    me, gone = psutil.Process(os.getpid()), psutil.Popen(["true"])
    gone.wait()
    before = _measured([me, gone])
    with socket.create_server(("127.0.0.1", 0)):
        after = _measured([me, gone])
    assert sum(before.processes.values()) == 1
    assert after.ports == before.ports + 1
    assert before.memory_mb > 5

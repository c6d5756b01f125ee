"""Every Flink setting that a local cluster starts with.

Flink silently ignores a key it does not know, so this file lists all keys, and a contract test checks each
against Flink. Settings of a job (buffer timeout, bundle time, parallelism) are set by the job.
"""

import json
import re
import sys
from pathlib import Path

from job.cluster.errors import ClusterError
from job.cluster.layout import Layout, flink_home
from job.cluster.metrics_gateway import INTERVAL_S
from job.cluster.spec import ClusterSpec
from job.cluster.uris import file_uri

LOOPBACK = "127.0.0.1"
_JAVA_OPTIONS = re.compile(r"^\s+all: (--add-.*)$", re.MULTILINE)
_RECOVERY = {
    "restart-strategy.type": "exponential-delay",
    "restart-strategy.exponential-delay.initial-backoff": "100 ms",
    "restart-strategy.exponential-delay.max-backoff": "5 s",
    "restart-strategy.exponential-delay.backoff-multiplier": "1.5",
    "restart-strategy.exponential-delay.jitter-factor": "0.1",
    "restart-strategy.exponential-delay.reset-backoff-threshold": "30 s",
    "heartbeat.interval": "1000 ms",
    "heartbeat.timeout": "4000 ms",
    "heartbeat.rpc-failure-threshold": "1",
    "pekko.startup-timeout": "60 s",
    "cluster.registration.error-delay": "200 ms",
    "cluster.registration.max-timeout": "1 s",
    "cluster.registration.refused-registration-delay": "1 s",
}
"""The settings by which a dead process is noticed and replaced in seconds.

By default a TaskManager that comes up before the JobManager waits 10 s before it tries again, and a JVM that
needs more than 10 s for its first actors, as on a machine at load 15, gives up.
"""
_MEMORY = {
    "taskmanager.numberOfTaskSlots": "1",
    "taskmanager.cpu.cores": "1.0",
    "taskmanager.memory.framework.heap.size": "128m",
    "taskmanager.memory.task.heap.size": "448m",
    "taskmanager.memory.managed.size": "512m",
    "taskmanager.memory.framework.off-heap.size": "128m",
    "taskmanager.memory.task.off-heap.size": "0m",
    "taskmanager.memory.network.min": "128m",
    "taskmanager.memory.network.max": "128m",
    "taskmanager.memory.segment-size": "64kb",
    "taskmanager.network.memory.buffer-debloat.enabled": "true",
    "taskmanager.network.memory.buffer-debloat.target": "60 ms",
    "taskmanager.memory.jvm-metaspace.size": "256m",
    "taskmanager.memory.jvm-overhead.min": "192m",
    "taskmanager.memory.jvm-overhead.max": "192m",
    "taskmanager.jvm-exit-on-oom": "true",
    "jobmanager.memory.heap.size": "768m",
    "jobmanager.memory.jvm-metaspace.size": "256m",
}
"""The sizes of a TaskManager of 1.75 GiB and a JobManager of about 1 GiB.

All parts are given, so no JVM has to run first to work them out. RocksDB takes 70 % of the managed memory
where process-mode operators take the rest; Python's own memory comes on top. A network buffer holds an element:
Flink lets ten of them wait before an operator, which should be a bundle of score-candidates. If elements are
small, full buffers would hold many and delay each of them, so Flink shrinks buffers by itself to what takes 60 ms.
"""
_PYTHON = {
    "python.executable": sys.executable,
    "python.client.executable": sys.executable,
    "classloader.parent-first-patterns.additional": "pemja",
}
"""The settings that make both execution modes use this Python, and load PEMJA's native library once a JVM."""


_REPORTER = "metrics.reporter.prometheus"


def reporter_configuration(url: str) -> dict[str, str]:
    """Return the settings by which Flink's Prometheus reporter pushes to a gateway at an address.

    Labels keep their characters, as those of a model's version; the reporter escapes them.
    """
    return {
        "metrics.reporters": "prometheus",
        f"{_REPORTER}.factory.class": "org.apache.flink.metrics.prometheus.PrometheusPushGatewayReporterFactory",
        f"{_REPORTER}.interval": f"{INTERVAL_S} s",
        f"{_REPORTER}.hostUrl": url,
        f"{_REPORTER}.jobName": "recloop",
        f"{_REPORTER}.filterLabelValueCharacters": "false",
    }


def flink_configuration(spec: ClusterSpec, home: Path | None = None) -> dict[str, str]:
    """Return all Flink settings of a cluster, the extra ones of its spec included.

    Args:
        spec: the cluster; a port of None is written as 0, which lets Flink take a free one. A `metrics_port` of 0
            leaves the reporter out.
        home: the Flink distribution whose JVM options are taken over; None is the installed one.
    """
    layout = Layout(spec.directory)
    return {
        "rest.address": LOOPBACK,
        "rest.bind-address": LOOPBACK,
        "rest.port": str(spec.rest_port or 0),
        "jobmanager.rpc.address": LOOPBACK,
        "jobmanager.bind-host": LOOPBACK,
        "jobmanager.rpc.port": str(spec.rpc_port or 0),
        "blob.server.port": str(spec.blob_port or 0),
        "taskmanager.host": LOOPBACK,
        "taskmanager.bind-host": LOOPBACK,
        "taskmanager.rpc.port": "0",
        "taskmanager.data.port": "0",
        "state.backend.type": "rocksdb",
        "execution.checkpointing.incremental": "true",
        "execution.checkpointing.interval": "2 s",
        "execution.checkpointing.num-retained": "3",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.storage": "filesystem",
        "execution.checkpointing.dir": file_uri(layout.checkpoints),
        "execution.checkpointing.savepoint-dir": file_uri(layout.savepoints),
        **_RECOVERY,
        **_MEMORY,
        **_PYTHON,
        "env.java.opts.all": java_options(home or flink_home()),
        "metrics.fetcher.update-interval": "1 s",
        **(_ha_configuration(layout, spec) if spec.high_availability else {}),
        **({} if spec.metrics_port == 0 else reporter_configuration(f"http://{LOOPBACK}:{spec.metrics_port or 0}")),
        **spec.extra_config,
    }


def _ha_configuration(layout: Layout, spec: ClusterSpec) -> dict[str, str]:
    """Return the settings by which a JobManager that died is replaced in seconds, by one that stands by."""
    return {
        "high-availability.type": "zookeeper",
        "high-availability.zookeeper.quorum": f"{LOOPBACK}:{spec.zookeeper_port or 0}",
        "high-availability.storageDir": file_uri(layout.ha_storage),
        "high-availability.cluster-id": spec.application.cluster_id if spec.application else "/recloop",
        "high-availability.zookeeper.client.session-timeout": "4 s",
        "high-availability.zookeeper.client.connection-timeout": "4 s",
    }


def render(configuration: dict[str, str]) -> str:
    """Return settings as the text of a config.yaml, one quoted value per line."""
    return "".join(f"{key}: {json.dumps(value)}\n" for key, value in sorted(configuration.items()))


def java_options(home: Path) -> str:
    """Return the module options that this Flink release needs in a JVM.

    Raises:
        ClusterError: if the installed Flink's config.yaml does not name them.
    """
    path = home / "conf" / "config.yaml"
    found = _JAVA_OPTIONS.search(path.read_text(errors="replace"))
    if found is None:
        msg = f"{path} is damaged, or of another Flink (it names no env.java.opts.all): install apache-flink again"
        raise ClusterError(msg)
    return found.group(1).strip()

"""A cluster of one's own: Flink's own scripts start it from the installed package, as someone would by hand."""

import os
import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from job.cluster import FlinkRest, RestError
from job.cluster.config import java_options
from job.cluster.java import find_java
from job.cluster.layout import flink_home
from job.cluster.ports import with_ports
from job.cluster.spec import ClusterSpec
from tests.job.waiting import wait_until


@contextmanager
def own_cluster(folder: Path, settings: Mapping[str, str], path: str, *, flink_python: bool) -> Iterator[str]:
    """A JobManager and a TaskManager; yields the REST address. `path` is the PATH of both."""
    home, java = flink_home(), find_java(os.environ)
    conf, lib = folder / "conf", folder / "lib"
    shutil.copytree(home / "conf", conf)
    lib.mkdir()
    for jar in (*(home / "lib").glob("*.jar"), *((home / "opt").glob("flink-python-*.jar") if flink_python else ())):
        (lib / jar.name).symlink_to(jar)
    ports = with_ports(ClusterSpec(folder), {})
    lines = {
        "env.java.opts.all": java_options(home),
        "jobmanager.rpc.address": "127.0.0.1",
        "jobmanager.memory.process.size": "1000m",
        "taskmanager.host": "127.0.0.1",
        "taskmanager.memory.process.size": "1900m",
        "rest.address": "127.0.0.1",
        **dict(zip(("rest.port", "jobmanager.rpc.port", "blob.server.port"), _ports(ports), strict=True)),
        "execution.checkpointing.dir": f"file://{folder}/checkpoints",
        **settings,
    }
    (conf / "config.yaml").write_text("".join(f"{key}: {value}\n" for key, value in lines.items()))
    folders = {"FLINK_CONF_DIR": conf, "FLINK_LIB_DIR": lib, "FLINK_LOG_DIR": folder, "FLINK_PID_DIR": folder}
    variables = {name: str(path) for name, path in {**folders, "FLINK_HOME": home, "JAVA_HOME": java.home}.items()}
    scripts = ("jobmanager.sh", "taskmanager.sh")
    started = [
        subprocess.Popen(
            ["bash", str(home / "bin" / script), "start-foreground"],
            env={**variables, "PATH": path},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            process_group=0,
        )
        for script in scripts
    ]
    url = f"http://127.0.0.1:{ports.rest_port}"
    try:
        wait_until(lambda: _is_ready(url), timeout_s=180, what="the cluster")
        yield url
    finally:
        for process in started:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _ports(spec: ClusterSpec) -> list[str]:
    return [str(port) for port in (spec.rest_port, spec.rpc_port, spec.blob_port)]


def _is_ready(url: str) -> bool:
    try:
        with FlinkRest(url, patience_s=0) as rest:
            return rest.overview().slots_available > 0
    except RestError:
        return False

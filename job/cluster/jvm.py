"""The command lines of the JobManager's and TaskManagers' JVMs.

Flink's shell scripts start three more JVMs to read the configuration before each real one. A direct call is
ready seconds earlier, and so is the replacement of a killed TaskManager. The JobManager's work is light, so it is
compiled quickly rather than well: it was up after 2.8 s of processor time instead of 4.9 s.
"""

import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from job.cluster.application import Application
from job.cluster.errors import SettingRefusedError
from job.cluster.java import Java
from job.cluster.layout import JOB_MANAGER, LOG_FILE, ZOOKEEPER, Layout

MARK = "RECLOOP_CLUSTER"
INCARNATION = "{incarnation}"
_JOB_MANAGER_CLASS = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
_APPLICATION_CLASS = "org.apache.flink.container.entrypoint.StandaloneApplicationClusterEntryPoint"
_ZOOKEEPER_CLASS = "org.apache.flink.runtime.zookeeper.FlinkZooKeeperQuorumPeer"
_TASK_MANAGER_CLASS = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
_SIZE = re.compile(r"(\d+)\s*(b|k|kb|m|mb|g|gb)?", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "k": 2**10, "m": 2**20, "g": 2**30}


def job_manager_command(
    java: Java,
    layout: Layout,
    configuration: Mapping[str, str],
    name: str = JOB_MANAGER,
    *,
    application: Application | None = None,
    own: Mapping[str, str] | None = None,
) -> list[str]:
    """Return a JobManager's command line.

    Args:
        java: the runtime.
        layout: the cluster's folders.
        configuration: the settings in the cluster's configuration file.
        name: the name of the JobManager.
        application: the one job that it runs by itself; None takes the jobs that are submitted to it.
        own: settings of this JobManager that override the file's.
    """
    heap = size_bytes(configuration, "jobmanager.memory.heap.size")
    metaspace = size_bytes(configuration, "jobmanager.memory.jvm-metaspace.size")
    return [
        *_java(java, layout, configuration, name),
        *(
            "-XX:TieredStopAtLevel=1",
            "-XX:+UseSerialGC",
            f"-Xmx{heap}",
            "-Xms128m",
            f"-XX:MaxMetaspaceSize={metaspace}",
        ),
        *shlex.split(configuration.get("env.java.opts.jobmanager", "")),
        *(_APPLICATION_CLASS if application else _JOB_MANAGER_CLASS, "--configDir", str(layout.conf)),
        *(word for key, value in (own or {}).items() for word in ("-D", f"{key}={value}")),
        *_scratch(layout, name),
        *(application.words if application else ()),
    ]


def zookeeper_command(java: Java, layout: Layout, configuration: Mapping[str, str]) -> list[str]:
    """Return the command line of a ZooKeeper server."""
    return [
        *_java(java, layout, configuration, ZOOKEEPER),
        *("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx64m", "-Dzookeeper.jmx.log4j.disable=true"),
        *(_ZOOKEEPER_CLASS, "--zkConfigFile", str(layout.zoo_cfg), "--peerId", "1"),
    ]


def task_manager_command(
    java: Java, layout: Layout, configuration: Mapping[str, str], name: str, own: Mapping[str, str] | None = None
) -> list[str]:
    """Return a TaskManager's command line; the supervisor fills in the number of its start.

    Args:
        java: the runtime.
        layout: the cluster's folders.
        configuration: the settings in the cluster's configuration file.
        name: the name of the TaskManager.
        own: settings of this TaskManager that override the file's.
    """
    own = own or {}
    configuration = {**configuration, **own}
    part = "taskmanager.memory."
    heap = _sum(configuration, f"{part}framework.heap.size", f"{part}task.heap.size")
    off_heap = ("framework.off-heap.size", "task.off-heap.size", "network.max")
    direct = _sum(configuration, *(part + key for key in off_heap))
    metaspace = size_bytes(configuration, f"{part}jvm-metaspace.size")
    return [
        *_java(java, layout, configuration, name),
        *("-XX:+UseG1GC", f"-Xmx{heap}", f"-Xms{heap}"),
        *(f"-XX:MaxDirectMemorySize={direct}", f"-XX:MaxMetaspaceSize={metaspace}"),
        *shlex.split(configuration.get("env.java.opts.taskmanager", "")),
        *(_TASK_MANAGER_CLASS, "--configDir", str(layout.conf)),
        *("-D", f"taskmanager.resource-id={name}-{INCARNATION}"),
        *(word for key, value in own.items() for word in ("-D", f"{key}={value}")),
        *_scratch(layout, name),
    ]


def environment(java: Java, layout: Layout, home: Path) -> dict[str, str]:
    """Return the variables that make Flink's commands use this cluster's folders and this Python.

    Commands carry the cluster's mark, so that stopping the cluster also ends one that was broken off.
    """
    bin_folders = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{java.home / 'bin'}"
    return {
        **utf8_locale(os.environ),
        MARK: str(layout.root),
        "JAVA_HOME": str(java.home),
        "FLINK_HOME": str(home),
        "FLINK_CONF_DIR": str(layout.conf),
        "FLINK_LIB_DIR": str(layout.lib),
        "FLINK_OPT_DIR": str(home / "opt"),
        "FLINK_PLUGINS_DIR": str(layout.plugins),
        "FLINK_LOG_DIR": str(layout.logs),
        "FLINK_PID_DIR": str(layout.root),
        "PATH": f"{bin_folders}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }


def utf8_locale(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that make a JVM read and write file names in UTF-8; in the locale C it cannot find an é."""
    chosen = next((environ[key] for key in ("LC_ALL", "LC_CTYPE", "LANG") if environ.get(key)), "C")
    return {} if re.search(r"utf-?8", chosen, re.IGNORECASE) else {"LC_ALL": "C.UTF-8"}


def size_bytes(configuration: Mapping[str, str], key: str) -> int:
    """Return a memory size of the configuration in bytes.

    Raises:
        SettingRefusedError: if the value is no size such as 512m.
    """
    found = _SIZE.fullmatch(configuration[key].strip())
    if found is None:
        msg = f"{key} is {configuration[key]!r}: write a size such as 512m or 2g"
        raise SettingRefusedError(msg)
    return int(found[1]) * _UNITS[(found[2] or "").lower()[:1]]


def _sum(configuration: Mapping[str, str], *keys: str) -> int:
    return sum(size_bytes(configuration, key) for key in keys)


def _java(java: Java, layout: Layout, configuration: Mapping[str, str], name: str) -> list[str]:
    log4j = (layout.conf / "log4j.properties").as_uri()
    security = ["-Djava.security.manager=allow"] if java.version > 17 else []
    return [
        str(java.executable),
        *shlex.split(configuration["env.java.opts.all"]),
        *security,
        f"-D{LOG_FILE}={layout.log(name)}",
        f"-Dlog4j.configurationFile={log4j}",
        *("-classpath", class_path(layout.lib)),
    ]


def _scratch(layout: Layout, name: str) -> list[str]:
    """Return the options for a process's temporary files, and those by which Flink's web page finds its log."""
    log = layout.log(name)
    options = (f"io.tmp.dirs={layout.scratch(name)}", f"web.log.path={log}", f"taskmanager.log.path={log}")
    return [part for option in options for part in ("-D", option)]


def class_path(lib: Path) -> str:
    """Return all jars of a folder, Flink's own distribution last, as Flink's scripts order them."""
    jars = sorted(lib.glob("*.jar"), key=lambda jar: (jar.name.startswith("flink-dist"), jar.name))
    return os.pathsep.join(map(str, jars))

"""Checks for faults of a cluster that would make the job fail later, before anything is touched.

A cluster of `recloop cluster start` has no such fault. For any other one there are three sources: the JobManager's REST
interface; the beginning of each TaskManager's log, where Flink writes what it was started with; and the process of a
TaskManager on this machine, because nothing else shows which Python it finds.
"""

import logging
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import PurePath

from job.cluster import FlinkRest, NotFoundError, UnfitClusterError
from job.cluster.records import RegisteredTaskManager
from job.cluster.task_manager_python import python_faults
from job.settings.job_settings import JobSettings

_log = logging.getLogger(__name__)
_FLINK_PYTHON = "flink-python"
_KAFKA_JARS = ("flink-sql-connector-kafka", "flink-connector-kafka")
_PEMJA = "pemja.core.PythonInterpreter"
_PARENT_FIRST = "classloader.parent-first-patterns.additional"
_CHECKPOINTS = ("execution.checkpointing.dir", "state.checkpoints.dir")
_STORAGE = ("execution.checkpointing.storage", "state.checkpoint-storage")
_LOADED = re.compile(r"Loading (?:dynamic )?configuration property: ([\w.-]+), (.*)$", re.MULTILINE)
_CLASS_PATH = re.compile(r"Classpath: (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Process:
    """The jars and settings that a JobManager or TaskManager was started with; None if they are unknown."""

    name: str
    jars: frozenset[str] | None
    configuration: Mapping[str, str] | None

    @classmethod
    def job_manager(cls, rest: FlinkRest) -> "_Process":
        """Return the JobManager, by its REST interface."""
        try:
            jars = frozenset(PurePath(jar).name for jar in rest.class_path())
        except NotFoundError:
            jars = None
        return cls(name="the JobManager", jars=jars, configuration=rest.configuration())

    @classmethod
    def task_manager(cls, rest: FlinkRest, resource_id: str) -> "_Process":
        """Return a TaskManager, by the beginning of its log."""
        head = rest.log_head(resource_id)
        found = _CLASS_PATH.search(head)
        jars = frozenset(PurePath(jar).name for jar in found[1].strip().split(":")) if found else None
        return cls(name=f"TaskManager {resource_id}", jars=jars, configuration=dict(_LOADED.findall(head)) or None)

    def has(self, *names: str) -> bool:
        """Return whether a jar of one of these names, of any version, is on the class path, or the path is unknown."""
        return self.jars is None or any(jar.startswith(names) for jar in self.jars)

    @property
    def loads_pemja_once(self) -> bool:
        """True if it loads pemja by one class loader for all jobs."""
        configuration = self.configuration or {}
        if configuration.get("classloader.resolve-order", "").strip() == "parent-first":
            return True
        keys = (_PARENT_FIRST, "classloader.parent-first-patterns.default")
        patterns = (part for key in keys for part in re.split(r"[;,\[\]\s'\"]+", configuration.get(key, "")))
        return any(pattern and _PEMJA.startswith(pattern) for pattern in patterns)


def check_cluster(rest: FlinkRest, settings: JobSettings) -> None:
    """Refuse a cluster on which the job would later fail or lose its state; log advice that would make it faster.

    Raises:
        UnfitClusterError: it would; each line of the text is one fault with its remedy.
        RestError: the cluster does not answer, or is not Flink.
    """
    task_managers = rest.task_managers()
    manager = _Process.job_manager(rest)
    workers = [_Process.task_manager(rest, each.resource_id) for each in task_managers]
    faults = [
        *_version_faults(rest.overview().flink_version),
        *_jar_faults([manager, *workers], settings),
        *_class_loader_faults(manager, workers),
        *_checkpoint_faults(manager.configuration or {}),
        *python_faults(task_managers),
    ]
    if faults:
        msg = "\n".join([f"the job would fail on the cluster at {rest.url}; nothing was touched:", *faults])
        raise UnfitClusterError(msg)
    if found := advice(task_managers):
        _log.warning("%s", found)


def advice(task_managers: list[RegisteredTaskManager]) -> str | None:
    """Return advice that would make the job faster on this cluster, or None."""
    slots = max((each.slots for each in task_managers), default=1)
    if slots == 1:
        return None
    return (
        f"a TaskManager has {slots} slots: all Python operators in one TaskManager take turns, so as many TaskManagers "
        "of one slot (taskmanager.numberOfTaskSlots: 1) do more"
    )


def _version_faults(there: str) -> Iterator[str]:
    try:
        here = version("apache-flink")
    except PackageNotFoundError:
        return
    if _release(there) != _release(here):
        mend = f"install apache-flink {'.'.join(_release(there))} here, or run Flink {'.'.join(_release(here))} there"
        yield f"the cluster runs Flink {there}, here is apache-flink {here}: {mend}"


def _release(text: str) -> tuple[str, ...]:
    return tuple(re.findall(r"\d+", text)[:2])


def _jar_faults(processes: list[_Process], settings: JobSettings) -> Iterator[str]:
    if lacking := [each.name for each in processes if not each.has(_FLINK_PYTHON)]:
        yield (
            f"{_FLINK_PYTHON} is not in Flink's lib/ ({_some(lacking)}), so that a second deployment would restart for "
            f"ever: copy {_FLINK_PYTHON}-*.jar from Flink's opt/ into its lib/ on every machine, and restart Flink"
        )
    native = settings.log.kind == "kafka" and settings.kafka.connector == "native"
    if native and (lacking := [each.name for each in processes if not each.has(*_KAFKA_JARS)]):
        yield (
            f"kafka.connector=native needs Flink's Kafka connector, which is not in lib/ ({_some(lacking)}): copy the "
            "jar that recloop kafka connector names there and restart Flink, or set kafka.connector=python"
        )


def _class_loader_faults(manager: _Process, workers: list[_Process]) -> Iterator[str]:
    """Yield the fault of TaskManagers that may load pemja twice; one of unknown settings counts as the JobManager."""
    processes = [each if each.configuration else manager for each in workers] or [manager]
    if lacking := {each.name for each in processes if not each.loads_pemja_once}:
        yield (
            f"{_PARENT_FIRST} lacks pemja ({_some(sorted(lacking))}), so that a second deployment, or a restart, fails "
            f"with NoSuchFieldException: loadedLibraryNames: add the line `{_PARENT_FIRST}: pemja` to Flink's "
            "config.yaml on every machine, and restart Flink"
        )


def _checkpoint_faults(configuration: Mapping[str, str]) -> Iterator[str]:
    folder = next((configuration[key] for key in _CHECKPOINTS if configuration.get(key)), None)
    storage = next((configuration[key] for key in _STORAGE if configuration.get(key)), "filesystem")
    mend = (
        f"add `{_CHECKPOINTS[0]}: URI` to Flink's config.yaml, of a folder that the JobManager, every TaskManager "
        "and a later cluster can read and write, and restart Flink"
    )
    if storage == "jobmanager":
        yield f"checkpoints are kept on the JobManager's heap ({_STORAGE[0]}: jobmanager), lost when it ends: {mend}"
    elif folder is None:
        yield f"the cluster has no folder for checkpoints, so they end with its JobManager: {mend}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}"

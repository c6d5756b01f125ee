"""The paths of a cluster: its state folder and the installed Flink it runs from.

The installed package is only read; all that the cluster writes is under the state folder.
"""

import importlib.util
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from job.cluster.errors import ClusterError

JOB_MANAGER = "jobmanager"
STANDBY = "jobmanager-standby"
ZOOKEEPER = "zookeeper"
METRICS_GATEWAY = "metrics-gateway"
PYTHON_WORKERS = "python-workers"
_TASK_MANAGER = "taskmanager-"
_GPU_TASK_MANAGER = f"{_TASK_MANAGER}gpu-"
_KEPT_LOGS = 3

LOG_FILE = "recloop.log.file"
"""The property that names the log of a supervised process.

It is not log.file, because Flink would then make RocksDB write a log of its own beside it, in a file named after the
whole path of the state's folder. When a restore opens a folder below that, the name exceeds the limit of 255 bytes.
"""
_LOG4J = """\
rootLogger.level = INFO
rootLogger.appenderRef.file.ref = File
logger.python.name = PythonWorker
logger.python.level = ALL
logger.netty.name = org.jboss.netty.channel.DefaultChannelPipeline
logger.netty.level = OFF
appender.file.name = File
appender.file.type = RollingFile
appender.file.append = true
appender.file.fileName = ${sys:log.file}
appender.file.filePattern = ${sys:log.file}.%i
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %c [%t] - %m%n
appender.file.policies.type = Policies
appender.file.policies.size.type = SizeBasedTriggeringPolicy
appender.file.policies.size.size = 20MB
appender.file.strategy.type = DefaultRolloverStrategy
appender.file.strategy.max = 3
"""
_JSON_LOG4J = """\
rootLogger.appenderRef.json.ref = Json
appender.json.name = Json
appender.json.type = RollingFile
appender.json.append = true
appender.json.fileName = ${sys:log.file}.jsonl
appender.json.filePattern = ${sys:log.file}.jsonl.%i
appender.json.layout.type = PatternLayout
appender.json.layout.alwaysWriteExceptions = false
appender.json.layout.pattern = {"time":"%d{yyyy-MM-dd'T'HH:mm:ss.SSS'Z'}{UTC}","level":"%p","logger":"%enc{%c}{JSON}",\
"thread":"%enc{%t}{JSON}","message":"%enc{%m}{JSON}","error":"%enc{%throwable}{JSON}"}%n
appender.json.policies.type = Policies
appender.json.policies.size.type = SizeBasedTriggeringPolicy
appender.json.policies.size.size = 20MB
appender.json.strategy.type = DefaultRolloverStrategy
appender.json.strategy.max = 3
"""
"""The same events in a second file, a JSON object a line; the first stays, as people and Flink's web page read it."""


def flink_home() -> Path:
    """Return the folder of the installed Flink distribution.

    Raises:
        ClusterError: if apache-flink is not installed.
    """
    found = importlib.util.find_spec("pyflink")
    if found is None or found.origin is None:
        msg = "apache-flink is not installed in this environment: run make setup"
        raise ClusterError(msg)
    return Path(found.origin).parent


def is_task_manager(name: str) -> bool:
    """Return whether a supervised process is a TaskManager."""
    return name.startswith(_TASK_MANAGER)


def has_gpu(name: str) -> bool:
    """Return whether a supervised process is a TaskManager that sees a GPU."""
    return name.startswith(_GPU_TASK_MANAGER)


def task_manager_name(index: int) -> str:
    """Return the name of a TaskManager's process, its log files and its scratch folder."""
    return f"{_TASK_MANAGER}{index}"


def gpu_task_manager_name(index: int) -> str:
    """Return the name of a TaskManager that sees a GPU; these are counted separately."""
    return f"{_GPU_TASK_MANAGER}{index}"


@dataclass(frozen=True)
class Layout:
    """The paths in a cluster's state folder."""

    root: Path

    @property
    def conf(self) -> Path:
        """Flink's configuration folder."""
        return self.root / "conf"

    @property
    def zoo_cfg(self) -> Path:
        """ZooKeeper's configuration, of a cluster with high availability."""
        return self.conf / "zoo.cfg"

    @property
    def zookeeper(self) -> Path:
        """ZooKeeper's data; removed at every start."""
        return self.root / "zookeeper"

    @property
    def ha_storage(self) -> Path:
        """Flink's own files for high availability; removed at every start."""
        return self.root / "high-availability"

    @property
    def gpu_discovery(self) -> Path:
        """The script that names a TaskManager's GPU to Flink."""
        return self.conf / "gpu-discovery.sh"

    @property
    def lib(self) -> Path:
        """Links to the jars every JVM loads."""
        return self.root / "lib"

    @property
    def plugins(self) -> Path:
        """Links to Flink's plugins."""
        return self.root / "plugins"

    @property
    def logs(self) -> Path:
        """Log files; the current ones begin with the last start."""
        return self.root / "logs"

    @property
    def checkpoints(self) -> Path:
        """Checkpoints of all jobs; kept over starts and stops."""
        return self.root / "checkpoints"

    @property
    def savepoints(self) -> Path:
        """Savepoints of all jobs; kept over starts and stops."""
        return self.root / "savepoints"

    @property
    def settings(self) -> Path:
        """The spec that was last started here, ports included (JSON)."""
        return self.root / "cluster.json"

    @property
    def plan(self) -> Path:
        """The processes that the supervisor is to keep running (JSON)."""
        return self.root / "plan.json"

    @property
    def services(self) -> Path:
        """The commands that run beside Flink's processes."""
        return self.root / "services.json"

    @property
    def state(self) -> Path:
        """The processes that the supervisor is running (JSON)."""
        return self.root / "state.json"

    @property
    def ended(self) -> Path:
        """The process with which an application cluster ended by itself, and its exit status (JSON)."""
        return self.root / "ended.json"

    @property
    def lock(self) -> Path:
        """The file that a living supervisor holds locked."""
        return self.root / "supervisor.lock"

    @property
    def start_lock(self) -> Path:
        """The file that is locked while somebody starts or stops the cluster."""
        return self.root / "start.lock"

    def scratch(self, name: str) -> Path:
        """Return the working folder of one process; it is emptied at every start."""
        return self.root / "tmp" / name

    def log(self, name: str) -> Path:
        """Return the path of Flink's log of one process."""
        return self.logs / f"{name}.log"

    def out(self, name: str) -> Path:
        """Return the path of one process's standard output and error."""
        return self.logs / f"{name}.out"

    def prepare(self, home: Path, jars: Iterable[Path] = (), *, json_logs: bool = False) -> None:
        """Make all folders and links afresh; logs are put aside, checkpoints stay.

        Args:
            home: the Flink distribution.
            jars: further jars that every process loads.
            json_logs: whether each process writes its log a second time, as JSON lines.
        """
        for folder in (self.conf, self.lib, self.plugins):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in (self.conf, self.lib, self.plugins, self.logs, self.checkpoints, self.savepoints):
            folder.mkdir(parents=True, exist_ok=True)
        self._link(home, jars)
        own = f"{_LOG4J}{_JSON_LOG4J if json_logs else ''}"
        (self.conf / "log4j.properties").write_text(own.replace("log.file", LOG_FILE))
        # These two are read by Flink's own scripts, which set log.file.
        for name in ("log4j-console.properties", "log4j-cli.properties"):
            (self.conf / name).write_text(_LOG4J)
        for path in (each for kind in ("log", "out", "jsonl") for each in self.logs.glob(f"*.{kind}")):
            put_aside(path)

    def _link(self, home: Path, more: Iterable[Path]) -> None:
        jars = [*more, *(home / "lib").glob("*.jar"), *(home / "opt").glob("flink-python-*.jar")]
        plugins = [path for path in (home / "plugins").iterdir() if path.is_dir()]
        for folder, targets in ((self.lib, jars), (self.plugins, plugins)):
            for target in targets:
                (folder / target.name).symlink_to(target)


def put_aside(path: Path) -> None:
    """Rename a log file to .1, and older ones to .2 and .3; the oldest is overwritten."""
    for number in range(_KEPT_LOGS - 1, 0, -1):
        older = path.with_name(f"{path.name}.{number}")
        if older.exists():
            older.replace(path.with_name(f"{path.name}.{number + 1}"))
    if path.exists():
        path.replace(path.with_name(f"{path.name}.1"))

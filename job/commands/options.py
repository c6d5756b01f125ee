"""Options that several commands share, and their exit on errors."""

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from job.cluster import DEFAULT_DIRECTORY, NotRunningError, RunningCluster, SettingRefusedError, find
from job.cluster.application import end_of
from job.cluster.layout import Layout
from job.commands.output import Screen, stop_on
from model.datasets.prepared import Dataset
from model.errors import RecloopError
from model.folders import checked_name
from model.recommenders.options import BOUNDS

DATA_DIR = Path(".recloop/data")
DEFAULT_REGISTRY = ".recloop/registry"
MOST_THREADS = 1_024
"""The most threads or processes that share a machine's cores."""
LONGEST_S = 86_400
"""The longest time that a command waits for another program: a day."""
LEAST_CUT = 0.000_001
TARGETS_HELP = "Behaviours of one user that are foreseen, at most; by default no user has more than a tenth of all."


def bounded(option: str, text: str) -> Any:
    """Return an option with a help text and the bounds of the recommenders' option of that name."""
    return typer.Option(min=BOUNDS[option].least, max=BOUNDS[option].most, help=text)


console = Screen(stderr=True)


def tcp_port(text: str) -> Any:
    """Return an option for a TCP port, with a help text."""
    return typer.Option(min=1, max=65_535, help=text)


def epoch_ms(text: str) -> Any:
    """Return an option for a time in epoch milliseconds, with a help text."""
    return typer.Option(min=0, max=2**62 - 1, help=text)


def targets_limit(text: str) -> Any:
    """Return an option for a limit of one user's targets, with a help text."""
    return typer.Option(min=1, max=1_000_000, help=text)


SettingsFile = Annotated[
    Path | None, typer.Option("--settings", "-s", help="A TOML file, one table per group: [lists] length = 20.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="GROUP.NAME=VALUE", help="One setting, above the file; repeatable."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
JobManagerUrl = Annotated[
    str | None, typer.Option("--jobmanager", metavar="URL", help="A cluster elsewhere, as http://jobmanager:8081.")
]
ClusterDirectory = Annotated[Path, typer.Option("--dir", help="The cluster's state folder.")]
DEFAULT_CLUSTER = DEFAULT_DIRECTORY
PreparedSet = Annotated[str, typer.Argument(help="Name of a prepared data set, or its folder.")]
DataFolder = Annotated[Path, typer.Option(help="Folder of prepared data sets.")]
HistoryLength = Annotated[int, bounded("history_length", "Newest items that are read; 0 is what suits the model.")]
Dim = Annotated[int, bounded("dim", "Width of an item's embedding.")]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of everything random.")]
Threads = Annotated[
    int,
    typer.Option(min=0, max=MOST_THREADS, help="CPU threads; 0 lets torch choose. On small models more only wait."),
]
RegistryUrl = Annotated[
    str, typer.Option("--registry", envvar="RECLOOP_REGISTRY", help="A folder, or an fsspec URL like s3://BUCKET/DIR.")
]
ReadyWithin = Annotated[float, typer.Option("--timeout", min=1, max=LONGEST_S, help="Seconds until it must be ready.")]


def fail(message: object) -> NoReturn:
    """Print a message in red, and exit with 1."""
    console.print(str(message), style="red")
    raise typer.Exit(1)


def parse_settings(pairs: list[str], option: str = "--set") -> dict[str, str]:
    """Return the Flink settings in KEY=VALUE words of an option.

    Raises:
        SettingRefusedError: for a word without a key or an equals sign.
    """
    parsed = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            msg = f"{option} {pair!r}: write KEY=VALUE, such as heartbeat.timeout=10s"
            raise SettingRefusedError(msg)
        parsed[key.strip()] = value.strip()
    return parsed


@contextmanager
def terminated_as_interrupted() -> Iterator[None]:
    """End on SIGTERM as on Ctrl-C in the block, so that all that it started is stopped."""

    def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def stop_on_errors() -> AbstractContextManager[None]:
    """Turn errors that a user can act on into one message; others keep their trace."""
    return stop_on(RecloopError)


def running_cluster(directory: Path) -> RunningCluster:
    """Return the cluster of the state folder.

    Raises:
        NotRunningError: there is none; the text says why that of an application ended.
    """
    if (cluster := find(directory)) is None:
        ended = end_of(Layout(directory.absolute()))
        mend = f"{ended}: recloop deploy --target application" if ended else "recloop cluster start"
        msg = f"no cluster runs in {directory}: {mend}"
        raise NotRunningError(msg)
    return cluster


def find_dataset(name: str, data_dir: Path = DATA_DIR) -> Dataset:
    """Open a prepared data set by its name in `data_dir`, or by its folder.

    Raises:
        NotPreparedError: there is no such data set.
        FolderNameError: the text is neither a folder nor a possible name of one.
    """
    if "/" in name or (name.strip() and Path(name).is_dir() and not (data_dir / name).is_dir()):
        return Dataset.open(Path(name))
    return Dataset.open(data_dir / checked_name(name, "a data set"))

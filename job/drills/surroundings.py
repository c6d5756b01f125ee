"""The surroundings of a drill's cluster: small disks, a network of its own, clocks that can be set."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from job.cluster.spec import ProcessSettings
from job.cluster.uris import file_uri
from job.drills.clocks import Clocks
from job.drills.network import Network, why_no_network
from job.drills.site import Needs
from job.drills.small_disks import small_disk, unmount_below

_CHECKPOINTS_MB = 128


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The settings by which a cluster uses what lies around it.

    Attributes:
        extra_config: settings of Flink's.
        processes: settings of single processes, by name.
        metrics_port: 0 where a TaskManager cannot reach the collector of metrics; else None.
    """

    extra_config: Mapping[str, str] = field(default_factory=dict)
    processes: Mapping[str, ProcessSettings] = field(default_factory=dict)
    metrics_port: int | None = None


def small_checkpoints(folder: Path) -> Path:
    """Return the folder of the checkpoints of a run, where they are on a small disk."""
    return folder / "small-checkpoints"


def clocks_of(folder: Path) -> Clocks:
    """Return the clocks of the TaskManagers of a run in a folder."""
    return Clocks(folder / "clocks")


def clear(folder: Path) -> None:
    """Take away what a run that was killed left around its cluster."""
    unmount_below(folder)
    if why_no_network() is None:
        Network(folder).remove()


@contextmanager
def surroundings(needs: Needs, folder: Path, task_managers: int) -> Iterator[Surroundings]:
    """Make what a kind of fault needs around the cluster of a run in a folder, and take it away after the block.

    Raises:
        DrillError: this machine does not allow it.
    """
    match needs:
        case Needs.SMALL_DISKS:
            checkpoints = small_checkpoints(folder)
            with small_disk(checkpoints, _CHECKPOINTS_MB):
                yield Surroundings({"execution.checkpointing.dir": file_uri(checkpoints)})
        case Needs.NETWORK:
            network = Network(folder, task_managers)
            with network.up():
                yield Surroundings(network.configuration(), network.processes(), metrics_port=0)
        case Needs.CLOCKS:
            yield Surroundings(processes=clocks_of(folder).processes(task_managers))
        case _:
            yield Surroundings()

"""The surroundings of a drill's cluster: small disks, a network of its own, clocks that can be set, Kafka brokers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from job.cluster.running import Progress
from job.cluster.spec import ProcessSettings
from job.cluster.uris import file_uri
from job.drills.brokers import Brokers, running_brokers, stop_brokers
from job.drills.clocks import Clocks
from job.drills.drill_log import Scale
from job.drills.network import Network, why_no_network
from job.drills.site import Needs
from job.drills.small_disks import small_disk, unmount_below

_CHECKPOINTS_MB = 128


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The settings by which a cluster uses what lies around it, and the brokers of its job.

    Attributes:
        extra_config: settings of Flink's.
        processes: settings of single processes, by name.
        metrics_port: 0 where a TaskManager cannot reach the collector of metrics; else None.
        brokers: those of a run over Kafka; else None.
    """

    extra_config: Mapping[str, str] = field(default_factory=dict)
    processes: Mapping[str, ProcessSettings] = field(default_factory=dict)
    metrics_port: int | None = None
    brokers: Brokers | None = None


def small_checkpoints(folder: Path) -> Path:
    """Return the folder of the checkpoints of a run, where they are on a small disk."""
    return folder / "small-checkpoints"


def clocks_of(folder: Path) -> Clocks:
    """Return the clocks of the TaskManagers of a run in a folder."""
    return Clocks(folder / "clocks")


def brokers_of(folder: Path) -> Path:
    """Return the folder of the brokers of a run over Kafka."""
    return folder / "brokers"


def clear(folder: Path) -> None:
    """Take away what a run that was killed left around its cluster."""
    stop_brokers(brokers_of(folder))
    unmount_below(folder)
    if why_no_network() is None:
        Network(folder).remove()


@contextmanager
def surroundings(needs: Needs, folder: Path, scale: Scale, report: Progress) -> Iterator[Surroundings]:
    """Make what a kind of fault needs around the cluster of a run in a folder, and take it away after the block.

    Raises:
        DrillError: this machine does not allow it.
        KafkaToolError: the brokers did not start.
    """
    match needs:
        case Needs.SMALL_DISKS:
            checkpoints = small_checkpoints(folder)
            with small_disk(checkpoints, _CHECKPOINTS_MB):
                yield Surroundings({"execution.checkpointing.dir": file_uri(checkpoints)})
        case Needs.NETWORK:
            network = Network(folder, scale.parallelism)
            with network.up():
                yield Surroundings(network.configuration(), network.processes(), metrics_port=0)
        case Needs.CLOCKS:
            yield Surroundings(processes=clocks_of(folder).processes(scale.parallelism))
        case Needs.KAFKA:
            with running_brokers(brokers_of(folder), scale.partitions, report) as brokers:
                yield Surroundings(brokers=brokers)
        case _:
            yield Surroundings()

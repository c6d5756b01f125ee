"""The list of all checks, and their run: a check that cannot finish is a fault of its own, and stops no other."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import httpx

from job.cluster import NotRunningError
from job.doctor import cluster, files, machine, software, sources
from job.doctor.finding import Check, Finding, Setup, fault
from model.errors import RecloopError

CLIENT_CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "python": software.check_python,
        "java": software.check_java,
        "flink": software.check_flink,
        "packages": software.check_packages,
        "torch": software.check_torch,
        "memory": machine.check_memory,
        "disk": machine.check_disk,
        "open files": machine.check_open_files,
        "ports": machine.check_ports,
        "folders": files.check_folders,
        "secrets": files.check_secrets,
        "log": sources.check_log,
        "models": sources.check_models,
    }
)
CLUSTER_CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "cluster": cluster.check_fit,
        "slots": cluster.check_slots,
        "task managers": cluster.check_heartbeats,
        "clock": cluster.check_clock,
        "exposure": cluster.check_exposure,
    }
)


@dataclass(frozen=True, slots=True)
class Examined:
    """A finding, and the check that it is of."""

    check: str
    finding: Finding


def examine(setup: Setup, checks: Mapping[str, Check]) -> Iterator[Examined]:
    """Run checks one after the other, and yield what each finds; those of a cluster that does not run end with one."""
    for name, check in checks.items():
        try:
            found = list(check(setup))
        except NotRunningError as error:
            yield Examined(name, fault(str(error)))
            return
        except (RecloopError, OSError, httpx.HTTPError) as error:
            found = [fault(str(error))]
        yield from (Examined(name, each) for each in found)

"""Free ports on loopback for a cluster, remembered from one start to the next.

Ports are taken from below the range that the kernel gives to outgoing connections, so that no such connection takes
one between the check and the start.
"""

import random
import socket
from collections.abc import Callable, Mapping
from dataclasses import replace

from job.cluster.config import LOOPBACK
from job.cluster.errors import StartFailedError
from job.cluster.spec import ClusterSpec

PORT_NAMES = ("rest_port", "rpc_port", "blob_port", "metrics_port")
HA_PORT_NAMES = ("standby_port", "zookeeper_port")
_LOWEST, _HIGHEST = 18_000, 32_000
_ATTEMPTS = 200


def with_ports(
    spec: ClusterSpec, remembered: Mapping[str, int], is_free: Callable[[int], bool] | None = None
) -> ClusterSpec:
    """Return the spec with every port set: the requested one, else the remembered one if free, else any free one.

    A port of 0, which is none, stays.

    Raises:
        StartFailedError: if a requested port is taken, or no free one is found.
    """
    check = is_free or port_is_free
    chosen: dict[str, int] = {}
    for name in (*PORT_NAMES, *(HA_PORT_NAMES if spec.high_availability else ())):
        port: int | None = getattr(spec, name)
        if port is None:
            drawn = random.sample(range(_LOWEST, _HIGHEST + 1), _ATTEMPTS)
            candidates = (each for each in (remembered.get(name), *drawn) if each and each not in chosen.values())
            port = next(filter(check, candidates), None)
            if port is None:
                msg = f"no free port found on {LOOPBACK} between {_LOWEST} and {_HIGHEST}"
                raise StartFailedError(msg)
        elif port and not check(port):
            msg = f"port {port} is taken by another process: choose another {name} or end that process"
            raise StartFailedError(msg)
        chosen[name] = port
    return replace(spec, **chosen)  # type: ignore[arg-type]


def port_is_free(port: int) -> bool:
    """Return whether a server could listen on this port of loopback now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True

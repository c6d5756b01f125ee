"""Checks of a running cluster, by its REST interface and, on this machine, its processes."""

import time
from collections.abc import Iterator
from ipaddress import IPv6Address, ip_address
from urllib.parse import urlsplit

import psutil

from job.cluster import FlinkRest, NotRunningError, UnfitClusterError, find
from job.cluster.records import RegisteredTaskManager
from job.deployment.cluster_checks import advice as slots_advice
from job.deployment.cluster_checks import check_cluster
from job.doctor.finding import Finding, Setup, advice, fault, ok

_CLOCK_S, _WRONG_CLOCK_S = 2.0, 60.0
_LATE_HEARTBEAT_MS = 10_000


def check_fit(setup: Setup) -> Iterator[Finding]:
    """Ask the cluster everything that a deployment asks it before it changes anything."""
    with FlinkRest(url_of(setup)) as rest:
        overview = rest.overview()
        try:
            check_cluster(rest, setup.settings)
        except UnfitClusterError as error:
            yield from (fault(line) for line in str(error).splitlines()[1:])
            return
        yield ok(f"Flink {overview.flink_version} at {rest.url} fits the job")


def check_slots(setup: Setup) -> Iterator[Finding]:
    """Compare the slots of the cluster with those that the job takes."""
    with FlinkRest(url_of(setup)) as rest:
        overview, task_managers = rest.overview(), rest.task_managers()
    needed = setup.settings.slots
    text = f"{overview.slots_total} slot(s), {overview.slots_available} free; the job takes {needed}"
    if overview.slots_total < needed:
        yield fault(text, f"recloop cluster start -n {needed}, or more TaskManagers")
    else:
        yield ok(text)
    if found := slots_advice(task_managers):
        yield advice(found)


def check_heartbeats(setup: Setup) -> Iterator[Finding]:
    """Find TaskManagers that the JobManager has not heard of for a while, and how memory is divided on each."""
    with FlinkRest(url_of(setup)) as rest:
        task_managers = rest.task_managers()
    if not task_managers:
        yield fault("no TaskManager is registered", "recloop cluster status, and the TaskManagers' logs")
    now_ms = time.time() * 1000
    for each in task_managers:
        yield task_manager_finding(each, now_ms)


def task_manager_finding(found: RegisteredTaskManager, now_ms: float) -> Finding:
    """Return the finding about a TaskManager; Flink reports the time of its last heartbeat, epoch ms."""
    resources = found.resources
    text = (
        f"TaskManager {found.resource_id}: {resources.task_heap_mb} MB heap for tasks, {resources.managed_mb} MB for "
        "RocksDB and Python workers"
    )
    late_ms = now_ms - found.last_heartbeat_ms
    if late_ms > _LATE_HEARTBEAT_MS:
        mend = "see whether it hangs, or its machine is overloaded or its clock differs from this one's"
        return advice(f"{text}; it was heard of {late_ms / 1000:.0f} s ago", mend)
    if not resources.managed_mb:
        return fault(f"{text}: RocksDB has none", "set taskmanager.memory.managed.size to 512m or more")
    return ok(text)


def check_clock(setup: Setup) -> Iterator[Finding]:
    """Compare this machine's clock with the JobManager's, by the newest heartbeat that it noted."""
    with FlinkRest(url_of(setup)) as rest:
        heard_at_ms = [each.last_heartbeat_ms for each in rest.task_managers()]
    if heard_at_ms:
        yield clock_finding(time.time() - max(heard_at_ms) / 1000)


def clock_finding(ahead_s: float) -> Finding:
    """Return the finding about a clock that is so many seconds after the JobManager's time of the newest heartbeat.

    Heartbeats come every second to every ten seconds, so a clock that is a little ahead is not seen.
    """
    if -_CLOCK_S <= ahead_s <= _LATE_HEARTBEAT_MS / 1000 + _CLOCK_S:
        return ok("this clock and the JobManager's agree")
    mend = "have both follow NTP: event times, lateness and freshness are compared with clocks"
    text = f"this clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} the JobManager's"
    return (fault if abs(ahead_s) > _WRONG_CLOCK_S else advice)(text, mend)


def check_exposure(setup: Setup) -> Iterator[Finding]:
    """Find out whether others can reach Flink's REST interface, which runs any code for whoever does."""
    parts = urlsplit(url_of(setup))
    mend = "rest.bind-address: 127.0.0.1, or a proxy with https and a login before it"
    if setup.jobmanager is None:
        open_at = addresses_at(parts.port or 0)
        exposed = sorted(address for address in open_at if not _is_loopback(address))
        if exposed:
            yield fault(f"Flink's REST interface listens at {', '.join(exposed)}, for everybody", mend)
        else:
            yield ok("Flink's REST interface listens on loopback alone")
    elif parts.scheme != "https" and not _is_loopback(str(parts.hostname)):
        yield advice(f"Flink's REST interface is reached at {parts.hostname} without https or a login", mend)
    else:
        yield ok(f"Flink's REST interface is reached by {parts.scheme} at {parts.hostname}")


def addresses_at(port: int) -> set[str]:
    """Return the addresses of this machine at which a process listens at a port."""
    listening = (each.laddr for each in psutil.net_connections("tcp") if each.status == psutil.CONN_LISTEN)
    return {address.ip for address in listening if address and address.port == port}


def _is_loopback(host: str) -> bool:
    """Return whether a name or an address, also an IPv4 one that is written as IPv6, is loopback's."""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost"
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def url_of(setup: Setup) -> str:
    """Return the address of the cluster that is examined.

    Raises:
        NotRunningError: none runs here, and no other is named.
    """
    if setup.jobmanager is not None:
        with FlinkRest(setup.jobmanager) as rest:
            return rest.url
    if (running := find(setup.cluster)) is None:
        msg = f"no cluster runs in {setup.cluster}: recloop cluster start"
        raise NotRunningError(msg)
    return running.rest_url

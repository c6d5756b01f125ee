"""A fault of ZooKeeper, which a cluster with high availability keeps its leader and its newest checkpoint in."""

from contextlib import suppress
from typing import ClassVar

import psutil

from job.cluster import NotRunningError
from job.cluster.processes import marked
from job.drills.faults.fault import Fault, Injected
from job.drills.footprint import kind_of
from job.drills.site import Needs, Site, now_ms

_DOWN_MS = 30_000
_KIND = "ZooKeeper"


class ZooKeeperGone(Fault):
    """Keep ZooKeeper down for 30 s: no JobManager leads meanwhile, and the job is restored after it."""

    name = "zookeeper-gone"
    needs = Needs.HIGH_AVAILABILITY
    touches = "ZooKeeper"
    bites_within_s: ClassVar[float] = 120.0

    def inject(self, site: Site) -> Injected:
        """Kill it; the supervisor starts it again at once."""
        at_ms, self._kills = now_ms(), 0
        self._kill(site)
        if not self._kills:
            msg = "the cluster has no ZooKeeper that runs"
            raise NotRunningError(msg)
        return Injected(at_ms, f"ZooKeeper got SIGKILL, and again at each start for {_DOWN_MS / 1000:g} s")

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Kill it as often as it is started, before it listens, until the time is over; then wait for its effect."""
        if now_ms() < injected.at_ms + _DOWN_MS:
            self._kill(site)
            return None
        effect = super().evidence(site, injected)
        return effect and f"ZooKeeper was killed {self._kills} times, and {effect}"

    def _kill(self, site: Site) -> None:
        for process in marked(site.cluster.layout):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if kind_of(process.cmdline()) == _KIND:
                    process.kill()
                    self._kills += 1

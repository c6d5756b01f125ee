"""Faults of clocks: that of a TaskManager jumps by a day, apart from the others, around a restore."""

import signal
from typing import ClassVar

from job.drills.clocks import why_no_clocks
from job.drills.evidence import Expectation
from job.drills.faults.fault import Fault, Injected
from job.drills.site import Needs, Site, now_ms
from job.drills.surroundings import clocks_of

_DAY_S = 86_400.0
_SHOWN = 20


class _ClockJump(Fault):
    """Clocks that jump; they are set right again when rows with false times are in the tables, which is a jump too.

    Attributes:
        jumps_s: the jump of each TaskManager, by its number, in seconds.
        kills: whether a TaskManager is killed, so that the job is restored under the false time.
    """

    needs = Needs.CLOCKS
    combines = False  # false times are in the tables, by which the effects of others are judged
    expects = Expectation(reprocesses=False)
    bites_within_s: ClassVar[float] = 120.0
    jumps_s: ClassVar[tuple[float, ...]]
    kills: ClassVar[bool] = True

    def unavailable(self) -> str | None:
        """Return why clocks cannot be set."""
        return why_no_clocks()

    def inject(self, site: Site) -> Injected:
        """Set the clocks."""
        at_ms = now_ms()
        for index, jump_s in enumerate(self.jumps_s):
            clocks_of(site.cluster.directory.parent).set(index, jump_s)
        words = [f"TaskManager {index} by {jump / 3600:+g} h" for index, jump in enumerate(self.jumps_s) if jump]
        killed = ""
        if self.kills:
            killed = f", and TaskManager 0 (process {site.cluster.kill_task_manager(0, signal.SIGKILL)}) got SIGKILL"
        return Injected(at_ms, f"the clock jumped: {', '.join(words)}{killed}")

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Wait until the restored job has written rows with each of the false times."""
        stopped = super().evidence(site, injected)
        made = [self._written(site, injected, jump) for jump in self.jumps_s if jump]
        if stopped is None or min(made) < _SHOWN:
            return None
        return f"{stopped}; {' and '.join(f'{each:,}' for each in made)} committed rows have a false time"

    def mend(self, site: Site) -> None:
        """Set the clocks right."""
        for index in range(len(self.jumps_s)):
            clocks_of(site.cluster.directory.parent).set(index, 0.0)

    def _written(self, site: Site, injected: Injected, jump_s: float) -> int:
        middle_ms, half_ms = injected.at_ms + jump_s * 1000, _DAY_S * 500
        within = f"written_at BETWEEN {middle_ms - half_ms:.0f} AND {middle_ms + half_ms:.0f}"
        return site.count(f"SELECT count(*) FROM user_behavior WHERE {within} AND ({site.in_segment()})")


class ClockAhead(_ClockJump):
    """Let the clock of a TaskManager jump a day ahead and kill it; when the job is restored, set it right again."""

    name = "clock-ahead"
    jumps_s = (_DAY_S, 0.0)


class ClockBack(_ClockJump):
    """Let the clock of a TaskManager jump a day back: the job ends tasks for it, and is restored; set it right."""

    name = "clock-back"
    jumps_s = (-_DAY_S, 0.0)
    kills = False

"""Faults of Kafka's brokers: one is killed, all are away for a while, and one that leads a partition is away."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

from job.deployment.status import read_status
from job.drills.brokers import Brokers
from job.drills.errors import DrillError
from job.drills.faults.fault import Injected
from job.drills.faults.over_kafka import OverKafka
from job.drills.site import Site, now_ms
from job.kafka.broker import BrokerSpec, find
from job.kafka.errors import TopicError
from job.kafka.topics import end_offsets, leaderless

_IN_FLIGHT = 50
"""The number of records of a partition that may have been under way when its broker died."""
_RESTART_MS = 2_000
"""A broker is away for longer when it is started again."""
_AWAY_MS = 60_000
_SAMPLE_S = 0.2
_OTHERS = 300


class _BrokersFail(OverKafka):
    """Brokers that are away: the job goes on when they are back."""

    _mended_ms = _back_ms = 0

    def ended_ms(self, injected: Injected) -> int:
        """Return when they were back."""
        return self._back_ms

    def is_over(self, site: Site) -> bool:
        """Return whether records of each partition that was away are processed again."""
        away = self._away(site.brokers)
        numbers = ", ".join(map(str, away))
        rows = f"FROM user_behavior WHERE written_at >= {self._mended_ms} AND log_partition IN ({numbers})"
        return site.count(f"SELECT count(DISTINCT log_partition) {rows}") == len(away)

    @abstractmethod
    def _away(self, brokers: Brokers) -> Sequence[int]:
        """Return the partitions that were away."""

    def _came_back(self, site: Site, *specs: BrokerSpec) -> None:
        self._mended_ms = now_ms()
        site.brokers.restart(*specs)
        self._back_ms = now_ms()


class KillBroker(_BrokersFail):
    """End Kafka's controller, which leads most partitions, with SIGKILL, and start it again at once."""

    name = "kill-broker"

    def inject(self, site: Site) -> Injected:
        """Kill the first broker, and start it again."""
        brokers = site.brokers
        self._ends = end_offsets(brokers.connection, brokers.topic)
        at_ms = now_ms()
        pid = _kill(brokers.first)
        self._came_back(site, brokers.first)
        return Injected(at_ms, f"the broker of {brokers.partitions - 1} partitions (process {pid}) got SIGKILL")

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Wait for records of its partitions that can't have been appended before."""
        later = " OR ".join(
            f"(log_partition = {partition} AND log_offset >= {end + _IN_FLIGHT})"
            for partition, end in self._ends.items()
            if partition in self._away(site.brokers)
        )
        if not site.count(f"SELECT count(*) FROM user_behavior WHERE {later}"):
            return None
        gap_ms = site.count(f"SELECT min(written_at) FROM user_behavior WHERE {later}") - injected.at_ms
        return f"the next records of its partitions came {gap_ms} ms after it" if gap_ms >= _RESTART_MS else None

    def _away(self, brokers: Brokers) -> Sequence[int]:
        return range(brokers.partitions - 1)


class BrokersAway(_BrokersFail):
    """Stop all brokers for a minute: the job waits for them, and goes on."""

    name = "brokers-away"
    bites_within_s: ClassVar[float] = 180.0

    def prepare(self, site: Site) -> None:
        """Take note of how often the job was restarted."""
        self._restarts = read_status(site.rest, site.job_id, None, sample_s=_SAMPLE_S).restarts

    def inject(self, site: Site) -> Injected:
        """Stop them."""
        at_ms = now_ms()
        for spec in (site.brokers.second, site.brokers.first):
            _kill(spec)
        return Injected(at_ms, f"both brokers were away for {_AWAY_MS // 1000} s")

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Wait until the minute is over; the job has to have reported the silence, and restarted nothing."""
        if now_ms() < injected.at_ms + _AWAY_MS:
            return None
        status = read_status(site.rest, site.job_id, None, sample_s=_SAMPLE_S)
        if status.log_silent_s < _AWAY_MS / 2_000 or status.restarts > self._restarts:
            return None
        return f"the job ran on, and reported that its log had been silent for {status.log_silent_s:.0f} s"

    def mend(self, site: Site) -> None:
        """Start them again."""
        self._came_back(site, site.brokers.first, site.brokers.second)

    def _away(self, brokers: Brokers) -> Sequence[int]:
        return range(brokers.partitions)


class PartitionWithoutLeader(_BrokersFail):
    """Stop the only broker of a partition: the others' records are processed meanwhile, its own afterwards."""

    name = "partition-without-leader"
    _leaderless_ms = 0

    def inject(self, site: Site) -> Injected:
        """Kill the second broker."""
        self._leaderless_ms = 0
        at_ms = now_ms()
        pid = _kill(site.brokers.second)
        return Injected(at_ms, f"the broker of the last partition (process {pid}) got SIGKILL, and stayed away")

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Wait until nobody leads the partition, and many records of the others were processed meanwhile."""
        brokers = site.brokers
        last = brokers.partitions - 1
        try:
            found = leaderless(brokers.connection, brokers.topic)
        except TopicError:  # the broker that is away was asked
            return None
        if found != [last]:
            return None
        self._leaderless_ms = self._leaderless_ms or now_ms()
        others = site.count(
            f"SELECT count(*) FROM user_behavior WHERE log_partition < {last} AND written_at >= {self._leaderless_ms}"
        )
        if others < _OTHERS:
            return None
        return f"partition {last} had no leader, while {others:,} behaviours of the others were processed"

    def mend(self, site: Site) -> None:
        """Start the broker again."""
        self._came_back(site, site.brokers.second)

    def _away(self, brokers: Brokers) -> Sequence[int]:
        return (brokers.partitions - 1,)


def _kill(spec: BrokerSpec) -> int:
    """End the broker of a state folder with SIGKILL, and return its process id."""
    running = find(spec.directory)
    if running is None:
        msg = f"no broker runs in {spec.directory}"
        raise DrillError(msg)
    running.kill()
    return running.pid

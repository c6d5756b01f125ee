"""Faults of the log: records that are no behaviours."""

from job.drills.evidence import Expectation
from job.drills.faults.fault import Fault, Injected
from job.drills.site import Site, now_ms


class PoisonFlood(Fault):
    """Append all at once what the log has left, a third of it with every second record broken."""

    name = "poison-flood"
    expects = Expectation(restarts=False, reprocesses=False)
    flooded = True
    combines = False

    def inject(self, site: Site) -> Injected:
        """Append the rest of the segment."""
        at_ms, before = now_ms(), site.feeder.appended
        site.feeder.hurry()
        site.feeder.finish()
        return Injected(at_ms, f"{site.feeder.appended - before:,} records were appended at once")

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Wait for the dead letters."""
        log = site.setup.log
        start, end = log.start(site.segment), log.ends[site.segment]
        planted = [
            (partition, offset)
            for (partition, offset), outcome in log.planted.items()
            if start[partition] <= offset < end[partition] and outcome != "duplicate"
        ]
        made = site.count(f"SELECT count(*) FROM dead_letters WHERE {site.in_segment()}")
        return f"{made:,} dead letters" if made >= len(planted) else None

"""The faults over Kafka: what all of them have in common."""

from typing import ClassVar

from job.drills.brokers import why_no_broker
from job.drills.evidence import Expectation
from job.drills.faults.fault import Fault
from job.drills.site import Needs


class OverKafka(Fault):
    """A fault of what only a job over Kafka has: the job goes on, and restarts nothing."""

    needs = Needs.KAFKA
    expects = Expectation(restarts=False, reprocesses=False)
    combines = False  # other faults find rows by the offsets of a log in files
    slower: ClassVar[float] = 3.0

    def unavailable(self) -> str | None:
        """Return why no broker can be started."""
        return why_no_broker()

"""A fault that a drill can inject into a running job."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from job.drills.evidence import Expectation
from job.drills.site import Needs, Site

_IN_FLIGHT = 50


@dataclass(frozen=True, slots=True)
class Injected:
    """The injection of a fault.

    Attributes:
        at_ms: the moment, epoch ms.
        description: a description of what it hit.
        spoiled: URIs of checkpoints that are unusable since.
    """

    at_ms: int
    description: str
    spoiled: tuple[str, ...] = ()


class Fault(ABC):
    """A method to break a running job; the first line of the class's docstring is shown to users.

    Attributes:
        name: the fault's name on the command line and in verdict.json.
        needs: the cluster and job that it is injected into.
        expects: its effect on a job that recovers correctly.
        flooded: whether its segment of the log has to be the flooded one.
        combines: whether it can be injected while the job recovers from another one.
        touches: something that it changes beside processes; no two faults of a combination change the same.
        slower: the factor by which the log grows slower than usual, so that it still grows when the fault is over.
        bites_within_s: the longest time until its effect is seen.
        mends_within_s: the longest time until the job has recovered.
    """

    name: ClassVar[str]
    needs: ClassVar[Needs] = Needs.PLAIN
    expects: ClassVar[Expectation] = Expectation()
    flooded: ClassVar[bool] = False
    combines: ClassVar[bool] = True
    touches: ClassVar[str | None] = None
    slower: ClassVar[float] = 1.0
    bites_within_s: ClassVar[float] = 60.0
    mends_within_s: ClassVar[float] = 180.0

    @property
    def doc(self) -> str:
        """The description of the fault, in one line."""
        return (type(self).__doc__ or "").splitlines()[0]

    def unavailable(self) -> str | None:
        """Return why this machine does not allow the fault; None if it does."""
        return None

    def prepare(self, site: Site) -> None:  # noqa: B027 - most faults need nothing
        """Make ready what the fault needs, while the log does not grow."""

    def is_moment(self, site: Site) -> bool:
        """Return whether this is a moment for the fault: by default, work is done that no checkpoint has yet."""
        newest = site.newest_checkpoint()
        return newest is not None and site.uncommitted_since(newest.completed_ms) >= _IN_FLIGHT

    @abstractmethod
    def inject(self, site: Site) -> Injected:
        """Inject the fault now; the recorded moment is taken just before.

        Raises:
            ClusterError: there is nothing to break.
        """

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Return a description of the fault's effect; None as long as none is seen. By default, tasks that stopped."""
        detected_ms, _ = site.watcher.outage(injected.at_ms)
        return None if detected_ms is None else f"tasks stopped {detected_ms - injected.at_ms} ms after it"

    def mend(self, site: Site) -> None:  # noqa: B027 - most faults are mended by the job
        """Take away what the fault left in the way, once its effect was seen."""

    def ended_ms(self, injected: Injected) -> int:
        """Return when a job that goes on all the time could begin to catch up, epoch ms: by default, at once."""
        return injected.at_ms

    def is_over(self, site: Site) -> bool:
        """Return whether the job does again all that the fault prevented; polled after `mend`."""
        return True

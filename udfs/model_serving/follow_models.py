"""A thread that polls a registry's pointers, and loads the versions they name while the present ones are served.

No Flink, no torch. Nothing here ends the job: whatever is wrong with the registry or with a version, the present
models stay in service, and the problem is reported once.
"""

import logging
import math
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event, Thread

from model.bundles.bundle import Bundle
from model.registry.bundle_source import FromRegistry
from model.registry.errors import RegistryError
from model.registry.pointers import Version
from model.registry.registry import Registry
from udfs.elements import ModelRef
from udfs.model_serving.variant_workers import ModelHangsError, Served, VariantWorker

_log = logging.getLogger(__name__)
_FIRST_WAIT_S = 1.0
_LONGEST_WAIT_S = 30.0
"""Waits between tries to load a version that fails, ever longer: registering the version again mends it."""
_JITTER = 0.2
"""Waits differ by this share, so that scorers do not all poll at once."""


@dataclass(slots=True)
class Followed:
    """A variant's worker, and the pointer that names its model.

    Attributes:
        failed: the version that did not load, and the reason.
        wait_s: time from one try to the next.
        next_try: earliest time of the next try, by the monotonic clock.
    """

    variant: str
    worker: VariantWorker
    source: FromRegistry
    failed: tuple[Version, str] | None = None
    wait_s: float = 0.0
    next_try: float = 0.0


class ModelFollower:
    """A follower of pointers for the variant workers of one scorer."""

    def __init__(
        self,
        followed: Sequence[Followed],
        load: Callable[[str, Bundle], Served],
        on_swap: Callable[[ModelRef, str | None], None],
    ) -> None:
        """Do nothing until `start`.

        Args:
            followed: all of one model in one registry.
            load: makes a variant's model of a bundle, warm; may take seconds, and raise anything.
            on_swap: called with each model that is to be served, and None once it is or the reason why it is not.
        """
        self._followed = followed
        self._load = load
        self._on_swap = on_swap
        self._ended = Event()
        self._absence: str | None = None

    def start(self, interval_s: float) -> None:
        """Poll about every `interval_s` from now on, on a daemon thread."""
        Thread(target=self._run, args=(interval_s,), name="follow-models", daemon=True).start()

    def close(self) -> None:
        """Have the thread end, once it has loaded what it is loading."""
        self._ended.set()

    def poll(self) -> None:
        """Poll the pointers once, and load the versions that they name and that are not served yet."""
        source = self._followed[0].source
        try:
            pointers = Registry(source.url).pointers(source.name)
        except RegistryError as error:
            self._note_absence(str(error))
            return
        self._absence = None
        for each in self._followed:
            wanted = each.source.named_by(pointers)
            if wanted is not None and wanted.hash != each.worker.served.ref.hash:
                self._follow(each, wanted)

    def _run(self, interval_s: float) -> None:
        while not self._ended.wait(interval_s * random.uniform(1 - _JITTER, 1 + _JITTER)):
            try:
                self.poll()
            except Exception as error:  # a registry's server may fail with anything, and be well at the next poll
                self._note_absence(f"{type(error).__name__}: {error}")

    def _follow(self, each: Followed, wanted: Version) -> None:
        if each.failed and each.failed[0] == wanted and time.monotonic() < each.next_try:
            return
        try:
            served = self._load(each.variant, each.source.fetch(wanted))
            each.source.remember(wanted)
        except Exception as error:  # a bundle may fail with anything, and no failure may end what is served
            self._note_failure(each, wanted, error)
            return
        each.failed = None
        each.worker.offer(served)
        self._on_swap(served.ref, None)

    def _note_failure(self, each: Followed, wanted: Version, error: Exception) -> None:
        """Report each reason once; try again at ever longer intervals, unless each try would cost a thread."""
        first_line = str(error).partition("\n")[0]  # TorchScript's messages go on with its own trace: the log has it
        failed = (wanted, f"{type(error).__name__}: {first_line}")
        again = each.failed is not None and each.failed[0] == wanted
        each.wait_s = min(2 * each.wait_s, _LONGEST_WAIT_S) if again else _FIRST_WAIT_S
        if isinstance(error, ModelHangsError):
            each.wait_s = math.inf
        each.next_try = time.monotonic() + each.wait_s
        if failed != each.failed:
            each.failed = failed
            message = "version %s of %s does not load: the one before is served on"
            _log.error(message, wanted.id, each.source.name, exc_info=error)
            self._on_swap(ModelRef(version=wanted.id, hash=wanted.hash, variant=each.variant), failed[1])

    def _note_absence(self, problem: str) -> None:
        if problem != self._absence:
            _log.warning("what is served is served on: %s", problem)
        self._absence = problem

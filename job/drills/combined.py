"""A combination of faults as one fault: it is injected, waited for and judged as any other."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import MappingProxyType

from job.drills.combinations import Combination, Strike, Trait, fits, parse, text_of
from job.drills.errors import DrillError
from job.drills.evidence import Expectation
from job.drills.faults import FAULTS, Fault, Injected
from job.drills.site import Needs, Site
from model.errors import RecloopError
from model.waiting import retry

_VICTIM_S = 60.0
_POLL_S = 0.1
TRAITS: Mapping[str, Trait] = MappingProxyType(
    {name: Trait(fault.needs, fault.touches) for name, fault in FAULTS.items() if fault.combines}
)
"""The faults that can be combined."""


def named(text: str) -> Fault:
    """Return the fault of a name, or the combination of a text.

    Raises:
        ValueError: there is no such fault, or it cannot be combined so; the message says what is wrong.
    """
    combination = parse(text)
    if unknown := [each.fault for each in combination if each.fault not in FAULTS]:
        msg = f"there is no fault {unknown[0]!r}; there are: {', '.join(FAULTS)}"
        raise ValueError(msg)
    if len(combination) == 1:
        return FAULTS[combination[0].fault]
    if alone := [each.fault for each in combination if each.fault not in TRAITS]:
        msg = f"{alone[0]} cannot be combined with others"
        raise ValueError(msg)
    return combined(combination)


def is_combined(fault: Fault) -> bool:
    """Return whether a fault is a combination of some."""
    return isinstance(fault, _Combined)


def combined(combination: Combination) -> Fault:
    """Return the fault that is all of a combination's; of a single one, that fault itself.

    Raises:
        ValueError: its faults need different jobs, or change the same thing.
    """
    faults = tuple(FAULTS[each.fault] for each in combination)
    if len(faults) == 1:
        return faults[0]
    if not fits(combination, TRAITS):
        msg = f"{text_of(combination)}: these faults need different jobs, or change the same thing"
        raise ValueError(msg)

    class Combined(_Combined):
        name = text_of(combination)
        needs = next((fault.needs for fault in faults if fault.needs is not Needs.PLAIN), Needs.PLAIN)
        expects = _expected(faults)
        bites_within_s = sum(fault.bites_within_s for fault in faults)
        mends_within_s = sum(fault.mends_within_s for fault in faults)

    return Combined(combination, faults)


def _expected(faults: Sequence[Fault]) -> Expectation:
    """Return the effect of all; the first strikes where work is under way, and only of it that is sure."""
    expected = [fault.expects for fault in faults]
    return Expectation(
        restarts=any(each.restarts for each in expected),
        reprocesses=expected[0].reprocesses,
        falls_back=any(each.falls_back for each in expected),
        scores=all(each.scores for each in expected),
        stands=all(each.stands for each in expected),
    )


class _Combined(Fault):
    """Several faults, one after the other, at drawn moments."""

    def __init__(self, combination: Combination, faults: Sequence[Fault]) -> None:
        self._strikes = tuple(zip(combination, faults, strict=True))
        self._injected: list[Injected] = []
        self._seen: dict[int, str] = {}
        self._mended: set[int] = set()

    @property
    def doc(self) -> str:
        """The names of the faults."""
        return self.name

    def unavailable(self) -> str | None:
        """Return why this machine does not allow one of them; None if it allows all."""
        return next(filter(None, (fault.unavailable() for _, fault in self._strikes)), None)

    def prepare(self, site: Site) -> None:
        """Make ready what each needs."""
        self._injected, self._seen, self._mended = [], {}, set()
        for _, fault in self._strikes:
            fault.prepare(site)

    def is_moment(self, site: Site) -> bool:
        """Return whether this is a moment for the first."""
        return self._strikes[0][1].is_moment(site)

    def inject(self, site: Site) -> Injected:
        """Inject each at its moment; one that finds nothing to break waits for it."""
        for strike, fault in self._strikes:
            if self._injected:
                self._await(strike, site)
            self._injected.append(_insistent(partial(fault.inject, site), fault.name))
        moments = [each.at_ms - self._injected[0].at_ms for each in self._injected]
        parts = [f"{each.description} ({ms} ms)" for each, ms in zip(self._injected, moments, strict=True)]
        spoiled = tuple(path for each in self._injected for path in each.spoiled)
        return Injected(self._injected[0].at_ms, "; ".join(parts), spoiled)

    def evidence(self, site: Site, injected: Injected) -> str | None:
        """Return the effects of all; each is mended as soon as its own is seen."""
        for number in range(len(self._injected)):
            self._look(number, site)
        return "; ".join(self._seen.values()) if len(self._seen) == len(self._strikes) else None

    def mend(self, site: Site) -> None:
        """Take away what those left whose effect was not seen."""
        for number in range(len(self._injected)):
            self._mend(number, site)

    def is_over(self, site: Site) -> bool:
        """Return whether each is over."""
        return all(fault.is_over(site) for _, fault in self._strikes)

    def _await(self, strike: Strike, site: Site) -> None:
        number = len(self._injected) - 1
        if strike.recovered:
            _, before = self._strikes[number]
            site.wait(partial(self._look, number, site), timeout_s=before.bites_within_s)
            self._mend(number, site)
            site.wait(partial(self._is_up, number, site), timeout_s=before.mends_within_s)
            site.wait(partial(before.is_over, site), timeout_s=before.mends_within_s)
        time.sleep(strike.after_s)

    def _look(self, number: int, site: Site) -> bool:
        """Return whether the effect of a fault was seen."""
        _, fault = self._strikes[number]
        if number not in self._seen and (found := fault.evidence(site, self._injected[number])) is not None:
            self._seen[number] = found
            self._mend(number, site)
        return number in self._seen

    def _mend(self, number: int, site: Site) -> None:
        if number not in self._mended:
            self._mended.add(number)
            self._strikes[number][1].mend(site)

    def _is_up(self, number: int, site: Site) -> bool:
        """Return whether all tasks run since a fault, if it restarts any."""
        _, restarted_ms = site.watcher.outage(self._injected[number].at_ms)
        return restarted_ms is not None or not self._strikes[number][1].expects.restarts


def _insistent(inject: Callable[[], Injected], name: str) -> Injected:
    """Inject a fault as soon as there is something to break: another one may have taken it away for a while.

    Raises:
        DrillError: there was nothing for a minute.
    """
    try:
        return retry(inject, RecloopError, timeout_s=_VICTIM_S, poll_s=_POLL_S)
    except RecloopError as error:
        msg = f"{name} found nothing to break for {_VICTIM_S:g} s: {error}"
        raise DrillError(msg) from error

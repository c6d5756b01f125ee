"""A finding of a check, and the setup that is examined."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from job.settings.job_settings import JobSettings


class Verdict(StrEnum):
    """The weight of a finding."""

    OK = "ok"
    ADVICE = "advice"
    """The job runs, but not well, or not safely."""
    FAULT = "fault"
    """The job would fail."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        verdict: its weight.
        text: what was found.
        mend: what to do; None if nothing has to be done, or the text says it.
    """

    verdict: Verdict
    text: str
    mend: str | None = None


@dataclass(frozen=True, slots=True)
class Setup:
    """The settings, environment and cluster that are examined.

    Attributes:
        settings: the job's settings, resolved.
        environ: the environment variables.
        cluster: the state folder of a local cluster.
        jobmanager: the address of a cluster elsewhere, or None.
    """

    settings: JobSettings
    environ: Mapping[str, str]
    cluster: Path
    jobmanager: str | None = None


Check = Callable[[Setup], Iterable[Finding]]


def ok(text: str) -> Finding:
    """Return a finding of which nothing follows."""
    return Finding(Verdict.OK, text)


def advice(text: str, mend: str | None = None) -> Finding:
    """Return a finding that somebody should do something about."""
    return Finding(Verdict.ADVICE, text, mend)


def fault(text: str, mend: str | None = None) -> Finding:
    """Return a finding with which the job would fail."""
    return Finding(Verdict.FAULT, text, mend)

"""(b) The whole job: lists a second while the log has more to read, and their cost."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from job.bench.crossings import crossed
from job.bench.live import Live, scoring_job
from job.bench.rows import made_between
from job.bench.usage import MODEL_THREAD, compiling, compiling_s, cpu_seconds, spent_by_part, usage
from job.bench.workload import Workload
from job.deployment.status import fresh_counts
from job.settings.job_settings import JobSettings
from model.waiting import wait_until
from udfs.flink.metrics import Metric

_FIRST_LIST_S = 60.0
_POLL_S = 0.2
_SHORTCUTS = ("score_cache", "coalesce", "shed")
_FORMS: tuple[tuple[str, ...], ...] = ((), ("scoring.parallelism=2",))
"""The job with its own settings, and with two scorers; each form's settings override the others."""


@dataclass(frozen=True, slots=True)
class TimedJob:
    """The speed and cost of the job at its limit.

    Attributes:
        scorers: subtasks of score-candidates.
        events_per_s: lists made a second, one per behaviour.
        lists: the number of lists that were timed.
        fallback_share: the share of these that are fallback lists.
        cache_hit_share: the share of these whose scores came from a cache.
        shortcuts: the settings that avoid scoring a history, and their values.
        batch_size_mean: histories in a call of the model.
        shortest_list: items in the shortest list.
        cpu_ms_per_event: CPU milliseconds per list, of all processes.
        cpu_s_per_1000: part -> CPU seconds for 1,000 lists.
        rss_mb: kind of process -> resident megabytes at the end.
        checkpoints: the number of checkpoints completed while timing.
        checkpoint_ms: their mean duration.
        checkpoint_mb: the full size of the newest.
        sent_bytes: bytes a list that reach score-candidates, and so its worker.
        returned_bytes: bytes a list that it sends on.
        before_s: CPU seconds of all processes before timing began: starting, the first lists, warming up.
        compiling_before_s: those of them that Java's compilers took.
    """

    scorers: int
    events_per_s: float
    lists: int
    fallback_share: float
    cache_hit_share: float
    shortcuts: dict[str, str]
    batch_size_mean: float
    shortest_list: int
    cpu_ms_per_event: float
    cpu_s_per_1000: dict[str, float]
    rss_mb: dict[str, float]
    checkpoints: int
    checkpoint_ms: float
    checkpoint_mb: float
    sent_bytes: float
    returned_bytes: float
    before_s: float
    compiling_before_s: float

    @property
    def cores(self) -> float:
        """The cores that are used, of all processes."""
        return self.events_per_s * self.cpu_ms_per_event / 1000

    @property
    def model_busy(self) -> float:
        """The share of the time that the thread which calls the model works."""
        return self.events_per_s * self.cpu_s_per_1000.get(MODEL_THREAD, 0.0) / 1000

    @property
    def compiling_us(self) -> float:
        """CPU microseconds of Java's compilers a list, which become fewer as the job grows older."""
        return compiling(self.cpu_s_per_1000) * 1000

    @property
    def beside_model_us(self) -> float:
        """CPU microseconds a list of everything but the thread which calls the model."""
        return (self.cpu_ms_per_event - self.cpu_s_per_1000.get(MODEL_THREAD, 0.0)) * 1000


@dataclass(frozen=True, slots=True)
class WholeJob:
    """The forms that were tried, the job with its own settings first.

    The quickest counts, as for its peers, but only among forms without a fallback list.
    """

    tried: tuple[TimedJob, ...]

    @property
    def as_set(self) -> TimedJob:
        """The form that costs and freshness refer to."""
        return self.tried[0]

    @property
    def best(self) -> TimedJob:
        """The quickest form that counts."""
        whole = [timed for timed in self.tried if not timed.fallback_share]
        return max(whole or [self.as_set], key=lambda timed: timed.events_per_s)

    @property
    def that_count(self) -> list[TimedJob]:
        """The forms that figures are taken from."""
        return [timed for timed in self.tried if timed in (self.as_set, self.best)]


def measure_job(workload: Workload) -> WholeJob:
    """Measure the job over files, once it has made its first list and is warm."""

    def timed(overrides: tuple[str, ...]) -> TimedJob:
        with scoring_job(workload, "job", workload.past(), workload.timed(), overrides) as live:
            return time_job(live)

    return in_each_form(workload, timed)


def in_each_form(workload: Workload, timed: Callable[[tuple[str, ...]], TimedJob]) -> WholeJob:
    """Time the job in all forms, or only with its own settings if the scale has no variants."""
    return WholeJob(tuple(timed(form) for form in (_FORMS if workload.scale.variants else _FORMS[:1])))


def time_job(live: Live) -> TimedJob:
    """Time the running job while its log has more to read."""
    scale = live.workload.scale
    _wait_for_first_list(live)
    live.workload.report(f"warming up for {scale.warm_s:g} s")
    time.sleep(scale.warm_s)
    crossed_before = crossed(live.rest, live.job_id)
    before, begin_ms = usage(live.cluster), now_ms()
    live.workload.report(f"timing for {scale.timed_s:g} s")
    time.sleep(scale.timed_s)
    end_ms, after = now_ms(), usage(live.cluster)
    crossed_after = crossed(live.rest, live.job_id)
    sent, returned = crossed_after.each_since(crossed_before)
    hits = fresh_counts(live.rest, live.job_id).total(Metric.SCORE_CACHE_HITS)
    made = made_between(live, begin_ms, end_ms)
    done = [each for each in live.rest.checkpoints(live.job_id).history if begin_ms <= each.trigger_ms < end_ms]
    done = [each for each in done if each.status == "COMPLETED"]
    spent = cpu_seconds(after) - cpu_seconds(before)
    by_part = spent_by_part(before, after)
    return TimedJob(
        scorers=live.settings.scorers,
        events_per_s=made.per_s,
        lists=made.lists,
        fallback_share=made.fallbacks / made.lists,
        cache_hit_share=hits / made.lists,
        shortcuts=shortcuts(live.settings),
        batch_size_mean=made.batch_size_mean,
        shortest_list=made.shortest,
        cpu_ms_per_event=spent / made.lists * 1000,
        cpu_s_per_1000={name: seconds / made.lists * 1000 for name, seconds in by_part.items()},
        rss_mb={name: size / 1e6 for name, size in after.rss.items()},
        checkpoints=len(done),
        checkpoint_ms=sum(each.duration_ms for each in done) / len(done) if done else 0.0,
        checkpoint_mb=done[0].size_bytes / 1e6 if done else 0.0,
        sent_bytes=sent,
        returned_bytes=returned,
        before_s=cpu_seconds(before),
        compiling_before_s=compiling_s(before),
    )


def _wait_for_first_list(live: Live) -> None:
    """Wait until the job has made a list since it began to score, for a minute at most."""
    wait_until(live.lists, timeout_s=_FIRST_LIST_S, poll_s=_POLL_S)


def shortcuts(settings: JobSettings) -> dict[str, str]:
    """Return the settings whose name indicates a shortcut; in a run that counts all of them are off."""
    groups: dict[str, Any] = settings.model_dump(exclude={"actions"})
    named = {
        f"{group}.{name}": value
        for group, values in groups.items()
        if isinstance(values, dict)
        for name, value in values.items()
    }
    return {name: str(value) for name, value in named.items() if any(word in name for word in _SHORTCUTS)}


def now_ms() -> int:
    """Return the current time, epoch ms."""
    return int(time.time() * 1000)

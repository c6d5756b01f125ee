"""(b) The whole job: lists a second while the log has more, and what that takes."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from job.bench.ground import Ground
from job.bench.live import Live, scoring_job
from job.bench.rows import made_between
from job.bench.usage import cpu_seconds, spent_by_part, usage
from job.deployment.status import fresh_counts
from job.settings.job_settings import JobSettings
from model.waiting import wait_until
from udfs.flink.metrics import Metric

_FIRST_LIST_S = 60.0
_POLL_S = 0.2
_SHORTCUTS = ("score_cache", "coalesce", "shed")
_FORMS: tuple[tuple[str, ...], ...] = ((), ("scoring.parallelism=2",))
"""The job as it is set, and with two scorers: settings above the others."""


@dataclass(frozen=True, slots=True)
class TimedJob:
    """The job at its limit.

    Attributes:
        scorers: subtasks of score-candidates.
        events_per_s: lists made a second, one a behaviour.
        lists: how many were timed.
        fallback_share: of these, by the rules alone.
        cache_hit_share: of these, from a cache of scores.
        shortcuts: settings that make a history cheaper than scoring it, and their values.
        batch_size_mean: histories a model's call.
        shortest_list: items.
        cpu_ms_per_event: CPU milliseconds a list, of all processes.
        cpu_s_per_1000: part -> CPU seconds a 1,000 lists.
        rss_mb: process -> megabytes resident in the end.
        checkpoints: completed while timing.
        checkpoint_ms: how long one took, mean.
        checkpoint_mb: the newest one's full size.
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


@dataclass(frozen=True, slots=True)
class WholeJob:
    """All forms that were tried, the job as it is set first.

    As for its peers the quickest counts, but of those only that asked the model for every list.
    """

    tried: tuple[TimedJob, ...]

    @property
    def as_set(self) -> TimedJob:
        """What costs and freshness are told of."""
        return self.tried[0]

    @property
    def best(self) -> TimedJob:
        """The quickest that counts."""
        whole = [timed for timed in self.tried if not timed.fallback_share]
        return max(whole or [self.as_set], key=lambda timed: timed.events_per_s)

    @property
    def that_count(self) -> list[TimedJob]:
        """Those that figures are taken from."""
        return [timed for timed in self.tried if timed in (self.as_set, self.best)]


def measure_job(ground: Ground) -> WholeJob:
    """The job over files, from when it made its first list and is warm."""

    def timed(overrides: tuple[str, ...]) -> TimedJob:
        with scoring_job(ground, "job", ground.past(), ground.timed(), overrides) as live:
            return time_job(live)

    return in_each_form(ground, timed)


def in_each_form(ground: Ground, timed: Callable[[tuple[str, ...]], TimedJob]) -> WholeJob:
    """The job in as many forms as the bench's size allows for."""
    return WholeJob(tuple(timed(form) for form in (_FORMS if ground.scale.variants else _FORMS[:1])))


def time_job(live: Live) -> TimedJob:
    """Times the running job while its log has more."""
    scale = live.ground.scale
    wait_for_first_list(live)
    live.ground.say(f"warming up for {scale.warm_s:g} s")
    time.sleep(scale.warm_s)
    before, begin_ms = usage(live.cluster), now_ms()
    live.ground.say(f"timing for {scale.timed_s:g} s")
    time.sleep(scale.timed_s)
    end_ms, after = now_ms(), usage(live.cluster)
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
    )


def wait_for_first_list(live: Live) -> None:
    """Until the job has made a list since it began to score; returns as well when that takes too long."""
    wait_until(live.lists, timeout_s=_FIRST_LIST_S, poll_s=_POLL_S)


def shortcuts(settings: JobSettings) -> dict[str, str]:
    """The settings whose name tells of a shortcut; a run that counts has all of them off."""
    groups: dict[str, Any] = settings.model_dump(exclude={"actions"})
    named = {
        f"{group}.{name}": value
        for group, values in groups.items()
        if isinstance(values, dict)
        for name, value in values.items()
    }
    return {name: str(value) for name, value in named.items() if any(word in name for word in _SHORTCUTS)}


def now_ms() -> int:
    """The clock, epoch ms."""
    return int(time.time() * 1000)

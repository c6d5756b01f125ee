"""Incremental scoring: the job with a GRU, by one step for each behaviour, and by a full pass over the history."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING

from job.bench.live import job_settings, scoring_job
from job.bench.whole_job import TimedJob, time_job
from job.bench.workload import Workload, train_briefly
from job.deployment.status import fresh_counts
from job.topology.rules import action_table, profile_rules, scoring_rules
from model.records import UserBehavior
from udfs.elements import TrackedBehavior, without_log
from udfs.flink.metrics import Metric
from udfs.users.profile import ProfileRules, UserProfile, apply, snapshot

if TYPE_CHECKING:
    from udfs.scoring.scorer import Scorer

WARM_UP_BATCHES = 100
"""The number of batches after which most users' states are kept."""
_BATCH = 52
"""The behaviours in a call: the mean of the job's calls at its limit."""
_OFF = "scoring.kept_users=0"


@dataclass(frozen=True, slots=True)
class Incremental:
    """The speeds of one model on the same behaviours, with kept states and without.

    Attributes:
        stepped: the job that keeps states.
        passed: the job that keeps none.
        stepped_share: the share of the former's scored histories that took one step.
        step_cpu_us: CPU microseconds per behaviour of the scorer alone, including its few full passes.
        pass_cpu_us: CPU microseconds per behaviour of the scorer alone, without kept states.
    """

    stepped: TimedJob
    passed: TimedJob
    stepped_share: float
    step_cpu_us: float
    pass_cpu_us: float


def measure_incremental(workload: Workload) -> Incremental:
    """Measure a GRU of as many dimensions on histories of up to 99 items, all of which it reads."""
    workload = replace(workload, bundle=train_briefly(workload.scale, workload.folder, workload.report, "gru"))
    step_cpu_us, pass_cpu_us = _scorer_alone(workload)
    stepped, share = _timed(workload, "stepped")
    passed, _ = _timed(workload, "passed", _OFF)
    return Incremental(stepped, passed, share, step_cpu_us, pass_cpu_us)


def _timed(workload: Workload, name: str, *overrides: str) -> tuple[TimedJob, float]:
    """Return the job's figures at its limit, and the share of its histories that took one step."""
    with scoring_job(workload, name, workload.past(), workload.timed(), overrides) as live:
        timed = time_job(live)
        counts = fresh_counts(live.rest, live.job_id)
    return timed, counts.total(Metric.HISTORIES_STEPPED) / max(1, counts.total(Metric.HISTORIES_SCORED))


def _scorer_alone(workload: Workload) -> tuple[float, float]:
    """Return CPU microseconds per behaviour with kept states and without, in turns on one thread, as in the job."""
    import torch

    from udfs.scoring.scorer import Scorer

    settings = job_settings(workload, workload.folder)
    rules = scoring_rules(settings, action_table(settings))
    scorers = [Scorer(workload.bundle, rules), Scorer(workload.bundle, replace(rules, kept_users=0))]
    workload.report("the scorer alone")
    with ExitStack() as afterwards:
        afterwards.callback(torch.set_num_threads, torch.get_num_threads())
        torch.set_num_threads(1)
        return _in_turns(scorers, _batches(workload), workload.scale.model_s)


def _in_turns(
    scorers: Sequence["Scorer"], batches: Iterator[list[TrackedBehavior]], seconds: float
) -> tuple[float, float]:
    spent, behaviors = [0.0, 0.0], 0
    for batch in islice(batches, WARM_UP_BATCHES):
        for scorer in scorers:
            scorer.score(batch)
    began = time.monotonic()
    while time.monotonic() - began < seconds and (batch := next(batches, [])):
        behaviors += len(batch)
        for number, scorer in enumerate(scorers):
            before = time.thread_time()
            scorer.score(batch)
            spent[number] += time.thread_time() - before
    return spent[0] / behaviors * 1e6, spent[1] / behaviors * 1e6


def _batches(workload: Workload) -> Iterator[list[TrackedBehavior]]:
    """Yield the timed behaviours in batches, as track-users emits them."""
    settings, profiles = job_settings(workload, workload.folder), dict[str, UserProfile]()
    rules = profile_rules(settings, action_table(settings))
    for behavior in workload.past():
        _applied(behavior, profiles, rules)
    tracked = (_applied(behavior, profiles, rules) for behavior in workload.timed())
    while batch := list(islice(tracked, _BATCH)):
        yield batch


def _applied(behavior: UserBehavior, profiles: dict[str, UserProfile], rules: ProfileRules) -> TrackedBehavior:
    profile = profiles.setdefault(behavior.user_id, UserProfile())
    placed = without_log(behavior)
    apply(profile, placed, rules)
    return snapshot(profile, placed, rules)

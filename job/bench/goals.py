"""The goals, and the verdicts on figures. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Goal:
    """The goal of a figure.

    Attributes:
        figure: the figure's name in the JSON.
        title: a description of the figure.
        steps: the values to reach, one after the other.
        at_least: whether more is better.
        unit: the text after the number.
    """

    figure: str
    title: str
    steps: tuple[float, ...]
    at_least: bool
    unit: str = ""

    def bound(self, step: float) -> str:
        """Return a step in words, such as "at most 40 ms"."""
        return f"{'at least' if self.at_least else 'at most'} {step:g}{self.unit}"

    def reached(self, value: float) -> int:
        """Return how many of the steps the value reaches, from the first on."""
        passed = [value >= step if self.at_least else value <= step for step in self.steps]
        return passed.index(False) if False in passed else len(passed)


GOALS = (
    Goal("job_over_model", "the job over the model alone", (0.4, 0.5), at_least=True),
    Goal("big_job_over_model", "the job over the model alone, a big model", (0.9,), at_least=True),
    Goal("job_over_plain_pyflink", "the job over plain PyFlink", (12, 20), at_least=True),
    Goal("job_over_quixstreams", "the job over Quix Streams as documented", (2.5,), at_least=True),
    Goal("job_over_quixstreams_batched", "the job over Quix Streams with our batching", (1.0,), at_least=True),
    Goal("job_over_plain_loop", "the job over a plain loop as documented", (1.0,), at_least=True),
    Goal("cores_used", "cores used at the limit", (1.9,), at_least=True),
    Goal("cpu_beside_model_us", "CPU beside the model, a list", (120,), at_least=False, unit=" µs"),
    Goal("freshness_idle_p50_ms", "freshness idle, p50", (20,), at_least=False, unit=" ms"),
    Goal("freshness_half_load_p99_ms", "freshness at half load, p99", (100,), at_least=False, unit=" ms"),
    Goal("freshness_nine_tenths_load_p99_ms", "freshness at 90 % load, p99", (300,), at_least=False, unit=" ms"),
    Goal("checkpoint_stall_ms", "a checkpoint holds events back by", (50,), at_least=False, unit=" ms"),
    Goal(
        "cost_ratio_million_over_thousand_users",
        "cost per event, many users over a thousand",
        (1.2,),
        at_least=False,
    ),
    Goal("state_bytes_per_user", "state per user", (800,), at_least=False, unit=" bytes"),
    Goal("full_cpu_over_step_cpu", "CPU of scoring by a full pass over by a step", (5,), at_least=True),
    Goal("job_events_per_s_incremental", "lists a second by steps", (10_000,), at_least=True),
    Goal("read_p99_ms_at_500_a_second", "a read at 500 a second, p99", (10,), at_least=False, unit=" ms"),
    Goal("reads_per_s", "reads a second", (2_000,), at_least=True),
    Goal("reads_over_bare_asgi", "reads over a bare ASGI application's", (0.5,), at_least=True),
    Goal("own_write_read_p99_ms", "a behaviour in the list that is read, p99", (150,), at_least=False, unit=" ms"),
)


@dataclass(frozen=True, slots=True)
class Judged:
    """A goal and its figure.

    Attributes:
        goal: the goal.
        value: the figure; None if it was not measured.
        steps: the number of steps that are reached.
    """

    goal: Goal
    value: float | None
    steps: int

    @property
    def verdict(self) -> str:
        """The verdict in a few words."""
        if self.value is None:
            return "not measured"
        if self.steps == len(self.goal.steps):
            return "reached"
        return "first step reached" if self.steps else "not reached"


def judge(figures: Mapping[str, float | None]) -> list[Judged]:
    """Judge all goals, in order."""
    judged = []
    for goal in GOALS:
        value = figures.get(goal.figure)
        judged.append(Judged(goal, value, 0 if value is None else goal.reached(value)))
    return judged

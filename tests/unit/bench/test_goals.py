"""When a goal counts as reached."""

import pytest

from job.bench.goals import GOALS, judge
from job.bench.results import Results, figures


def verdicts(**figure: float) -> dict[str, str]:
    return {judged.goal.figure: judged.verdict for judged in judge(figure)}


@pytest.mark.parametrize(
    ("figure", "value", "verdict"),
    [
        ("job_over_model", 0.39, "not reached"),
        ("job_over_model", 0.4, "first step reached"),
        ("job_over_model", 0.5, "reached"),
        ("job_over_plain_pyflink", 19.9, "first step reached"),
        ("freshness_idle_p50_ms", 41.0, "not reached"),
        ("freshness_idle_p50_ms", 20.0, "reached"),
        ("checkpoint_stall_ms", 50.0, "reached"),
        ("cost_ratio_million_over_thousand_users", 1.21, "not reached"),
        ("state_bytes_per_user", 801.0, "not reached"),
    ],
)
def test_a_figure_is_held_to_its_steps(figure: str, value: float, verdict: str) -> None:
    assert verdicts(**{figure: value})[figure] == verdict


def test_what_was_not_measured_is_not_reached() -> None:
    assert set(verdicts().values()) == {"not measured"}


def test_every_goal_is_about_a_figure_of_the_json() -> None:
    assert {goal.figure for goal in GOALS} <= figures(Results()).keys()

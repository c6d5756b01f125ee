"""Users' traces from the tables, and the settings of the job that writes them."""

from dataclasses import replace
from pathlib import Path

import pytest

from job.freshness.errors import LiveError
from job.freshness.evaluation import actions_of
from job.freshness.live_run import LiveRun, check_settings, job_settings
from job.freshness.traces import read_traces
from job.settings.job_settings import JobSettings, load
from job.topology.rules import action_table
from model.actions import DEFAULT_ACTIONS, Action, Kind
from model.datasets.generate import Synthetic, generate
from model.datasets.prepared import Dataset
from model.evaluation.freshness import Act, Trace
from tests.unit.tables.rows import HOUR, behavior, commit, made_list

pytestmark = pytest.mark.heavy


def test_a_trace_has_what_was_applied_and_the_lists_from_just_before_the_cut_off(tmp_path: Path) -> None:
    acts = [("click", "a", 1), ("impression", "b", 2), ("dislike", "c", 3), ("buy", "d", 4)]
    rows = [
        behavior(at) | {"action": action, "item_id": item, "timestamp": time}
        for at, (action, item, time) in enumerate(acts)
    ]
    rows.append(behavior(9) | {"outcome": "duplicate", "user_seq": None})
    lists = [made_list(n, [f"x{n}"]) | {"timestamp": time} for n, time in ((1, 1), (2, 2), (3, 3), (4, 4))]
    lists[3] |= {"source": "fallback"}
    lists[0] |= {"source": "fallback"}
    commit(tmp_path / "user_behavior" / HOUR, "part-a-0", rows)
    commit(tmp_path / "recommendation_lists" / HOUR, "part-a-0", lists)

    traces, fallbacks = read_traces(tmp_path, 3, DEFAULT_ACTIONS)

    assert traces == [
        Trace(
            (
                Act("a", 1, enters=True, makes_known=True),
                Act("b", 2, enters=False, makes_known=False),
                Act("c", 3, enters=False, makes_known=True),
                Act("d", 4, enters=True, makes_known=True),
            ),
            [2, 3, 4],
            [("x2",), ("x3",), ("x4",)],
        )
    ]
    assert fallbacks == 1


def live_run(tmp_path: Path, *overrides: str, trends: bool = False) -> JobSettings:
    dataset = generate(Synthetic(users=3, items=9, behaviors=20, tastes=2), tmp_path / "set", "set")
    settings = load(None, ["scoring.bundle=bundle", *overrides])
    return job_settings(LiveRun(dataset, settings, 5, 10, trends, tmp_path / "run"))


def test_a_run_without_trends_is_replayable_and_one_with_them_is_live(tmp_path: Path) -> None:
    plain, trendy = live_run(tmp_path), live_run(tmp_path, trends=True)
    assert (plain.resolved().lists.trend_weight, trendy.resolved().lists.trend_weight) == (0.0, 0.1)
    assert (plain.resolved().scoring.fixed_batch, trendy.resolved().scoring.fixed_batch) == (True, False)
    JobSettings(**trendy.model_dump())  # a deployment reads it again, with all checks


def test_a_run_reads_and_writes_nothing_of_the_deployments(tmp_path: Path) -> None:
    given = ("log.kind=kafka", "kafka.brokers=host:1", "publish.lists_topic=lists", "flink.parallelism=4")
    settings = live_run(tmp_path, *given, "lists.trend_weight=0.5", trends=True)
    assert settings.log.kind == "files"
    assert settings.log.folder == tmp_path / "run" / "log"
    assert settings.tables.folder == tmp_path / "run" / "tables"
    assert settings.publish.lists_topic is None
    assert settings.flink.parallelism == 1
    assert settings.lists.trend_weight == 0.5


def test_lists_are_as_long_as_the_candidates_so_that_some_can_be_left_out(tmp_path: Path) -> None:
    assert live_run(tmp_path).lists.length == 30
    assert live_run(tmp_path, "scoring.candidates=5").lists.length == 10
    assert live_run(tmp_path, "lists.max_new_items=2").lists.length == 10


def test_lists_of_what_users_have_had_are_refused() -> None:
    with pytest.raises(LiveError, match="take recommend"):
        check_settings(load(None, ["lists.policy=history"]))


def test_actions_of_a_data_set_are_those_of_the_job(tmp_path: Path) -> None:
    dataset = generate(Synthetic(users=3, items=9, behaviors=20, tastes=2), tmp_path / "set", "set")
    assert actions_of(dataset) == {}
    gaze = Action(40, Kind.POSITIVE, 0.25, 90.0)
    own = Dataset(dataset.path, replace(dataset.info, action_table={"gaze": gaze}))
    settings = load(None, [], defaults={"actions": actions_of(own)}, needs_model=False)
    assert action_table(settings)["gaze"] == gaze

"""The main job on a real cluster, over real data with faults in it, undisturbed and with a TaskManager killed."""

import time
from collections import Counter
from pathlib import Path

import pytest

from job.cluster import FlinkRest
from job.deployment.status import counted, fresh_counts
from job.replay.log_writer import LogWriter
from model.records import UserBehavior
from tests.job.fixtures import PARTITIONS, Deploy, Log, Run
from tests.job.outcome import (
    REPLAYABLE,
    assert_all_accounted_for,
    assert_same,
    assert_sequences_whole,
    outcome_of,
    run_undisturbed,
    undisturbed_outcome,
)
from tests.job.waiting import wait_until
from udfs.flink.metrics import Metric

pytestmark = pytest.mark.cluster


def test_every_offset_is_applied_a_duplicate_or_a_dead_letter(run_job: Deploy, faulty_log: Log) -> None:
    run = run_undisturbed(run_job, faulty_log)
    assert_all_accounted_for(run, faulty_log)
    assert_sequences_whole(run)
    reasons = Counter(str(reason) for (reason,) in run.rows("SELECT reason FROM dead_letters"))
    assert reasons == {
        "not_json": 200,
        "missing_field": 100,
        "mistyped_field": 100,
        "unknown_action": 100,
        "empty_id": 100,
        "long_id": 100,
        "impossible_time": 200,
        "late": 100,
    }
    assert run.count("recommendation_lists", "source <> 'scored'") == 0


@pytest.mark.slow
def test_parallelism_2_gives_the_same(run_job: Deploy, faulty_log: Log) -> None:
    undisturbed = undisturbed_outcome(run_job, faulty_log)
    run = run_job(faulty_log.folder, REPLAYABLE, "flink.parallelism=2")
    run.wait_for_offsets(faulty_log.offsets)
    assert_same(outcome_of(run), undisturbed)


@pytest.mark.slow
def test_two_scorers_beside_one_subtask_of_all_else_give_the_same(run_job: Deploy, faulty_log: Log) -> None:
    undisturbed = undisturbed_outcome(run_job, faulty_log)
    run = run_job(faulty_log.folder, REPLAYABLE, "scoring.parallelism=2")
    run.wait_for_offsets(faulty_log.offsets)
    with FlinkRest(run.cluster.rest_url) as rest:
        vertices = rest.job(run.deployment.job_id).vertices
    subtasks = {vertex.name.split(" -> ")[0]: vertex.parallelism for vertex in vertices}
    assert (subtasks["score-candidates"], subtasks["track-users"], subtasks["update-lists"]) == (2, 1, 1)
    assert_same(outcome_of(run), undisturbed)


@pytest.mark.slow
def test_with_coalescing_every_behavior_has_its_list_and_every_users_last_is_no_coalesced_one(
    run_job: Deploy, faulty_log: Log
) -> None:
    run = run_job(faulty_log.folder, "scoring.coalesce=true")
    run.wait_for_offsets(faulty_log.offsets)
    assert_all_accounted_for(run, faulty_log)
    assert_sequences_whole(run)
    assert run.count("recommendation_lists", "fallback_reason = 'coalesced'") > 0
    assert run.count("recommendation_lists", "source = 'scored'") > 0
    last = (
        "SELECT fallback_reason FROM recommendation_lists QUALIFY user_seq = max(user_seq) OVER (PARTITION BY user_id)"
    )
    assert ("coalesced",) not in run.rows(last)


@pytest.mark.slow
def test_what_a_model_was_asked_before_comes_from_the_score_cache(run_job: Deploy, tmp_path: Path) -> None:
    users, now_ms = [f"u{number}" for number in range(100)], int(time.time() * 1000)
    run = run_job(tmp_path / "log", "scoring.score_cache_mb=16", "lists.trend_weight=0")
    with LogWriter(tmp_path / "log") as log:
        for action in ("view", "return", "return"):  # to return what nobody bought changes nothing a model is asked
            before = run.count("recommendation_lists")
            log.append([UserBehavior(user, action, "50", now_ms) for user in users])
            run.wait_for_lists(before + len(users))
    with FlinkRest(run.cluster.rest_url) as rest:
        counts = fresh_counts(rest, run.deployment.job_id)
    fallbacks, hits = counts.total(Metric.FALLBACKS), counts.total(Metric.SCORE_CACHE_HITS)
    assert hits + fallbacks >= 2 * len(users) > fallbacks
    answers = "SELECT DISTINCT items FROM recommendation_lists WHERE source = 'scored'"
    assert len(run.rows(answers)) == 1


def test_parallelism_2_with_a_taskmanager_killed_gives_the_same(run_job: Deploy, faulty_log: Log) -> None:
    undisturbed = undisturbed_outcome(run_job, faulty_log)
    run = run_job(faulty_log.folder, REPLAYABLE, "flink.parallelism=2")
    job_id = run.deployment.job_id
    with FlinkRest(run.cluster.rest_url) as rest:
        wait_until(lambda: run.count("recommendation_lists") > 20_000, timeout_s=120, what="20,000 lists")
        run.compact()
        # Rows that no checkpoint holds yet: what was made of them will have to be made again.
        wait_until(lambda: unseen_lists(rest, run) >= 500, timeout_s=60, what="lists after the last checkpoint")
        before = rest.checkpoints(job_id).latest
        made_before, killed_ms = counted_lists(rest, job_id), int(time.time() * 1000)
        run.cluster.kill_task_manager(0)
        wait_until(lambda: rest.checkpoints(job_id).restored > 0, timeout_s=60, what="a restore")
        restored = restored_checkpoint(rest, job_id)
        rest.wait_until_running(job_id, timeout_s=60)
    run.wait_for_offsets(faulty_log.offsets)
    assert before is not None
    assert restored >= before.checkpoint_id
    assert_all_accounted_for(run, faulty_log)
    assert_sequences_whole(run)
    assert run.count("recommendation_lists", f"written_at < {killed_ms}") < made_before, (
        "behaviours were processed again"
    )
    assert_epochs_rise_alike(run, restored)
    assert_same(outcome_of(run), undisturbed)


def assert_epochs_rise_alike(run: Run, restored: int) -> None:
    """Every partition has the same epochs, and the last one says which checkpoint was restored."""
    begun = run.rows("SELECT epoch, count(*), min(parent_epoch), max(parent_epoch) FROM attempts GROUP BY 1 ORDER BY 1")
    epochs = [int(str(row[0])) for row in begun]
    assert [row[1:] for row in begun] == [(PARTITIONS, *[parent] * 2) for parent in (None, *epochs[:-1])]
    assert epochs[-1] - epochs[0] == restored + 1
    for table in ("user_behavior_all", "recommendation_lists_all"):
        assert run.rows(f"SELECT DISTINCT log_partition, epoch FROM {table} ORDER BY 1, 2") == [
            (partition, epoch) for partition in range(PARTITIONS) for epoch in epochs
        ]


def unseen_lists(rest: FlinkRest, run: Run) -> int:
    return counted_lists(rest, run.deployment.job_id) - run.count("recommendation_lists")


def counted_lists(rest: FlinkRest, job_id: str) -> int:
    return counted(rest, rest.job(job_id)).total(Metric.LISTS)


def restored_checkpoint(rest: FlinkRest, job_id: str) -> int:
    return int(rest.get(f"/jobs/{job_id}/checkpoints")["latest"]["restored"]["id"])

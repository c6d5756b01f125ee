"""The main job on a real cluster, over real data with faults in it, undisturbed and with a TaskManager killed."""

import time
from collections import Counter
from dataclasses import dataclass

import pytest

from job.cluster import FlinkRest
from job.status import counted
from tests.job.conftest import Deploy, Log, Run
from tests.job.waiting import wait_until
from udfs.metrics import Metric

pytestmark = pytest.mark.cluster

REPLAYABLE = "preset=replayable"
FinalLists = dict[str, tuple[int, dict[str, float]]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run left in its tables, as far as others must equal it."""

    lists: FinalLists
    behaviors: list[tuple[object, ...]]
    versions: list[tuple[object, ...]]


_outcomes: dict[str, Outcome] = {}


def run_undisturbed(run_job: Deploy, log: Log) -> Run:
    run = run_job(log.folder, REPLAYABLE, tables="undisturbed")
    run.wait_for_offsets(log.offsets)
    _outcomes["undisturbed"] = outcome_of(run)
    return run


def undisturbed_outcome(run_job: Deploy, log: Log) -> Outcome:
    """That of the test before, where it ran."""
    if "undisturbed" not in _outcomes:
        run_undisturbed(run_job, log)
    return _outcomes["undisturbed"]


def outcome_of(run: Run) -> Outcome:
    lists = {
        str(user): (int(str(version)), dict(zip(items, scores, strict=True)))  # type: ignore[call-overload]
        for user, version, items, scores in run.rows(
            "SELECT user_id, list_version, items, scores FROM latest_recommendation_lists"
        )
    }
    behaviors = run.rows(
        "SELECT log_partition, log_offset, user_id, outcome, user_seq FROM user_behavior ORDER BY 1, 2"
    )
    versions = run.rows("SELECT user_id, list_version, user_seq, log_offset FROM recommendation_lists ORDER BY 1, 2")
    return Outcome(lists, behaviors, versions)


def assert_same_lists(ours: FinalLists, theirs: FinalLists) -> None:
    assert ours.keys() == theirs.keys()
    for user, (version, scores) in ours.items():
        other_version, other_scores = theirs[user]
        assert version == other_version, user
        assert len(scores) == len(other_scores), user
        lowest = min(scores.values(), default=0.0)
        for item, score in scores.items():
            # An item may miss the other list only if its score ties with the last place's.
            assert other_scores.get(item, lowest) == pytest.approx(score, abs=2e-5), (user, item)


def assert_same(ours: Outcome, theirs: Outcome) -> None:
    assert ours.behaviors == theirs.behaviors
    assert ours.versions == theirs.versions
    assert_same_lists(ours.lists, theirs.lists)


def assert_all_accounted_for(run: Run, log: Log) -> None:
    assert run.count("user_behavior", "outcome = 'applied'") == log.applied
    assert run.count("user_behavior", "outcome = 'duplicate'") == log.duplicates
    assert run.count("dead_letters") == log.dead_letters
    assert run.count("recommendation_lists") == log.applied
    assert run.count("user_behavior_all") == log.applied + log.duplicates, "no row twice, in any epoch"
    assert run.count("recommendation_lists_all") == log.applied


def assert_sequences_whole(run: Run) -> None:
    broken = run.rows(
        """SELECT user_id FROM user_behavior WHERE outcome = 'applied' GROUP BY user_id
        HAVING min(user_seq) <> 1 OR max(user_seq) <> count(*) OR count(DISTINCT user_seq) <> count(*)"""
    )
    assert broken == []
    broken = run.rows(
        """SELECT user_id FROM recommendation_lists GROUP BY user_id
        HAVING min(list_version) <> 1 OR max(list_version) <> count(*) OR bool_or(list_version <> user_seq)"""
    )
    assert broken == []


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


def test_parallelism_2_with_a_taskmanager_killed_gives_the_same(run_job: Deploy, faulty_log: Log) -> None:
    undisturbed = undisturbed_outcome(run_job, faulty_log)
    run = run_job(faulty_log.folder, REPLAYABLE, "flink.parallelism=2")
    job_id = run.deployment.job_id
    with FlinkRest(run.cluster.rest_url) as rest:
        wait_until(lambda: run.count("recommendation_lists") > 20_000, timeout_s=120, what="20,000 lists")
        # Rows that no checkpoint holds yet: what was made of them will have to be made again.
        wait_until(lambda: unseen_lists(rest, run) >= 500, timeout_s=60, what="lists after the last checkpoint")
        before = rest.checkpoints(job_id).latest
        run.compact()
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
    assert run.count("recommendation_lists", f"epoch < {killed_ms}") < made_before, "behaviours were processed again"
    assert_same(outcome_of(run), undisturbed)


def unseen_lists(rest: FlinkRest, run: Run) -> int:
    return counted_lists(rest, run.deployment.job_id) - run.count("recommendation_lists")


def counted_lists(rest: FlinkRest, job_id: str) -> int:
    return counted(rest, rest.job(job_id)).total(Metric.LISTS)


def restored_checkpoint(rest: FlinkRest, job_id: str) -> int:
    return int(rest.get(f"/jobs/{job_id}/checkpoints")["latest"]["restored"]["id"])

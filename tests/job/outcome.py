"""What a run of the job left in its tables, and what two runs over the same log must have in common."""

from dataclasses import dataclass

import pytest

from tests.job.fixtures import Deploy, Log, Run

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

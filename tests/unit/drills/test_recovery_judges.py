"""Each judge of a recovery passes a right one, and fails one that is broken on purpose."""

from dataclasses import replace

import pytest

from job.drills.evidence import CompletedCheckpoint, Expectation, Footprint, Recovery, Restore
from job.drills.recovery_judges import came_back, nothing_left, restored_from_newest
from tests.unit.drills.outputs import FOOTPRINT, INJECTED_MS, good_recovery

BACK = good_recovery()
EXPECTED = Expectation()


def test_a_right_recovery_passes_every_judge() -> None:
    judges = (restored_from_newest, came_back, nothing_left)
    assert [judge(BACK, EXPECTED).holds for judge in judges] == [True] * 3


def restored(checkpoint_id: int, path: str) -> Recovery:
    return replace(BACK, restored=Restore(checkpoint_id, path, 11_000))


@pytest.mark.parametrize(
    "recovery",
    [
        restored(1, "file:/chk-1"),
        restored(2, "file:/elsewhere/chk-2"),
        replace(BACK, spoiled=frozenset({"file:/chk-2"})),
        replace(restored(1, "file:/chk-1"), spoiled=frozenset({"file:/chk-1", "file:/chk-3"})),
        replace(BACK, restored=None),
        replace(BACK, checkpoints=BACK.checkpoints[1:]),
        replace(BACK, checkpoints=BACK.checkpoints[:1]),
    ],
    ids=[
        "an older checkpoint",
        "another folder",
        "an unusable one",
        "one of two unusable ones",
        "no restore",
        "no new checkpoint",
        "none complete before",
    ],
)
def test_i6_fails_on(recovery: Recovery) -> None:
    assert restored_from_newest(recovery, EXPECTED).holds is False


def test_a_checkpoint_that_completed_between_fault_and_restore_is_the_newest() -> None:
    late = CompletedCheckpoint(3, "file:/chk-3", INJECTED_MS + 100)
    recovery = replace(BACK, checkpoints=(CompletedCheckpoint(4, "file:/chk-4", 17_000), late, *BACK.checkpoints[1:]))
    assert restored_from_newest(recovery, EXPECTED).holds is False
    assert restored_from_newest(replace(recovery, restored=Restore(3, "file:/chk-3", 11_000)), EXPECTED).holds


def test_past_an_unusable_checkpoint_the_one_before_is_the_newest() -> None:
    recovery = replace(restored(1, "file:/chk-1"), spoiled=frozenset({"file:/chk-2"}))
    assert restored_from_newest(recovery, EXPECTED).holds


def test_one_that_completed_after_flink_was_last_asked_is_newer_still() -> None:
    assert restored_from_newest(restored(5, "file:/chk-5"), EXPECTED).holds


@pytest.mark.parametrize(
    "recovery",
    [
        replace(BACK, evidence=None),
        replace(BACK, detected_ms=None),
        replace(BACK, restarted_ms=None),
        replace(BACK, caught_up_ms=None),
        replace(BACK, reprocessed=0),
        replace(BACK, checkpoints=BACK.checkpoints[:1]),
    ],
    ids=[
        "no effect",
        "not detected",
        "not restarted",
        "not caught up",
        "nothing processed again",
        "no checkpoint before",
    ],
)
def test_i7_fails_on(recovery: Recovery) -> None:
    assert came_back(recovery, EXPECTED).holds is False


def test_a_fault_without_reprocessing_does_not_count() -> None:
    assert "does not count" in came_back(replace(BACK, reprocessed=0), EXPECTED).examples[0]


def test_a_fault_that_restarts_nothing_is_judged_by_catching_up_alone() -> None:
    gentle = Expectation(restarts=False, reprocesses=False)
    recovery = replace(BACK, detected_ms=None, restarted_ms=None, restored=None, reprocessed=0)
    assert restored_from_newest(recovery, gentle).verdict == "n/a: this fault restarts no task"
    assert came_back(recovery, gentle).holds
    assert not came_back(replace(recovery, caught_up_ms=None), gentle).holds


def test_the_control_has_nothing_to_recover_from() -> None:
    assert restored_from_newest(None, EXPECTED).holds is None
    assert came_back(None, EXPECTED).holds is None
    assert nothing_left(None, EXPECTED).holds is None


LEFT = {
    "a process": replace(FOOTPRINT, processes={"TaskManager": 3, "JobManager": 1}),
    "another kind of process": replace(FOOTPRINT, processes={**FOOTPRINT.processes, "Python worker": 1}),
    "a process too few": replace(FOOTPRINT, processes={"TaskManager": 1, "JobManager": 1}),
    "a port": replace(FOOTPRINT, ports=10),
    "memory": replace(FOOTPRINT, memory_mb=3_300.0),
}


@pytest.mark.parametrize("after", [*LEFT.values(), None], ids=[*LEFT, "nothing was measured"])
def test_i9_fails_on(after: Footprint | None) -> None:
    assert nothing_left(replace(BACK, after=after), EXPECTED).holds is False


def test_i9_is_not_asked_of_a_fault_that_changes_the_cluster() -> None:
    rescaled = replace(BACK, after=LEFT["a process"])
    assert nothing_left(rescaled, Expectation(stands=False)).holds is None

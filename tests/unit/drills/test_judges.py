"""Each judge passes a right output, and fails one that is broken on purpose."""

from dataclasses import replace

import pytest

from job.drills.evidence import CompletedCheckpoint, Expectation, Output, Recovery, Repeat, Restore, SeenLetter
from job.drills.judges import (
    as_control,
    came_back,
    doubled,
    every_record_once,
    list_version_unbroken,
    lost,
    nothing_unwanted_shown,
    restored_from_newest,
    scored,
    user_seq_unbroken,
    wrong_lists,
)
from model.actions import DEFAULT_ACTIONS
from tests.unit.drills.outputs import (
    INJECTED_MS,
    behavior,
    good_output,
    good_recovery,
    made_list,
    with_behavior,
    with_list,
    without_behavior,
)

GOOD = good_output()
BACK = good_recovery()
EXPECTED = Expectation()


def test_a_right_output_passes_every_judge() -> None:
    findings = [
        every_record_once(GOOD),
        user_seq_unbroken(GOOD),
        as_control(GOOD, good_output()),
        list_version_unbroken(GOOD),
        nothing_unwanted_shown(GOOD, DEFAULT_ACTIONS),
        restored_from_newest(BACK, EXPECTED),
        came_back(BACK, EXPECTED),
    ]
    assert [finding.holds for finding in findings] == [True] * 7
    assert (lost(GOOD), doubled(GOOD), wrong_lists(GOOD, GOOD)) == ([], [], [])


def without_list(output: Output) -> Output:
    return replace(output, lists=output.lists[1:])


BROKEN_RECORDS = {
    "a lost behaviour": without_behavior(GOOD, 2),
    "a lost dead letter": replace(GOOD, letters=()),
    "a behaviour without a list": without_list(GOOD),
    "a doubled behaviour": replace(GOOD, behaviors=(*GOOD.behaviors, GOOD.behaviors[0])),
    "a doubled list": replace(GOOD, lists=(*GOOD.lists, GOOD.lists[0])),
    "a behaviour that is a dead letter too": replace(GOOD, letters=(*GOOD.letters, SeenLetter(0, 0, "late", 1, 1))),
    "a row of no record": replace(GOOD, behaviors=(*GOOD.behaviors, behavior(7, "view", "a", 4))),
    "a list of a duplicate": replace(GOOD, lists=(*GOOD.lists, made_list(2, 4, "d"))),
    "a row committed twice": replace(GOOD, repeats=(Repeat("user_behavior", "0/1", (1, 2)),)),
    "an unknown outcome": with_behavior(GOOD, 0, outcome="skipped"),
    "a duplicate with a number": with_behavior(GOOD, 2, user_seq=3),
}


@pytest.mark.parametrize("output", BROKEN_RECORDS.values(), ids=BROKEN_RECORDS)
def test_i1_fails_on(output: Output) -> None:
    assert every_record_once(output).holds is False


def test_lost_and_doubled_are_counted() -> None:
    assert len(lost(without_behavior(GOOD, 2))) == 1
    assert len(doubled(BROKEN_RECORDS["a doubled behaviour"])) == 1


def test_a_fall_back_may_commit_a_row_again_in_a_higher_epoch_only() -> None:
    again = replace(GOOD, repeats=(Repeat("user_behavior", "0/1", (1, 2)),))
    twice = replace(GOOD, repeats=(Repeat("user_behavior", "0/1", (2, 2)),))
    assert every_record_once(again, falls_back=True).holds
    assert not every_record_once(twice, falls_back=True).holds


@pytest.mark.parametrize(
    "output",
    [
        with_behavior(GOOD, 3, user_seq=4),
        with_behavior(GOOD, 3, user_seq=2),
        with_behavior(GOOD, 0, user_seq=2),
        with_behavior(with_behavior(GOOD, 0, user_seq=2), 1, user_seq=1),
    ],
    ids=["a gap", "a repeat", "a start at 2", "not the log's order"],
)
def test_i2_fails_on(output: Output) -> None:
    assert user_seq_unbroken(output).holds is False


BROKEN_LISTS = {
    "other items": with_list(GOOD, 2, items=("b", "d", "x")),
    "items that are not close and swapped": with_list(GOOD, 2, items=("d", "b", "e")),
    "an older list that is another": with_list(GOOD, 0, items=("b", "c", "x")),
    "another score": with_list(GOOD, 2, scores=(1.0, 0.9, 0.79)),
    "another reason": with_list(GOOD, 2, reasons=("model", "model", "popular")),
    "a list of the same items by the rules": with_list(GOOD, 2, source="fallback", fallback_reason="model_error"),
    "a list by another model": with_list(GOOD, 2, model="2 ef01"),
    "a shorter list": with_list(GOOD, 2, items=("b",), scores=(1.0,), reasons=("model",)),
    "a final list of an older version": replace(GOOD, latest=(GOOD.lists[1], GOOD.lists[4])),
    "a user without a final list": replace(GOOD, latest=GOOD.latest[:1]),
    "a missing list": without_list(GOOD),
    "a missing behaviour": without_behavior(GOOD, 1),
    "another outcome": with_behavior(GOOD, 2, outcome="applied", user_seq=3),
    "other predictions": replace(GOOD, predictions=(made_list(0, 1, "b", "c", "d", "y"),)),
    "missing predictions": replace(GOOD, predictions=()),
    "another dead letter": replace(GOOD, letters=(SeenLetter(0, 4, "late", 1, 5_004),)),
}


@pytest.mark.parametrize("output", BROKEN_LISTS.values(), ids=BROKEN_LISTS)
def test_i3_fails_on(output: Output) -> None:
    assert as_control(output, GOOD).holds is False


FAILED = {"source": "fallback", "fallback_reason": "model_error"}
ALL_FAILED = replace(GOOD, lists=tuple(replace(row, **FAILED) for row in GOOD.lists))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "output", [ALL_FAILED, with_list(GOOD, 2, **FAILED), replace(GOOD, lists=())], ids=["all", "one of five", "no list"]
)
def test_i8_fails_on(output: Output) -> None:
    assert scored(output).holds is False


def test_i8_says_why_there_were_no_scores_and_bears_one_list_in_a_hundred() -> None:
    assert scored(ALL_FAILED).examples == ("5 of 5 lists were made without a model's scores: model_error 5",)
    many = replace(
        GOOD, lists=(*GOOD.lists * 20, replace(GOOD.lists[0], source="fallback", fallback_reason="deadline"))
    )
    assert scored(many).holds


def test_i3_is_not_asked_of_the_control() -> None:
    assert as_control(GOOD, None).verdict == "n/a: this is the control"


def test_epoch_and_time_of_writing_may_differ_from_the_control() -> None:
    assert as_control(with_list(with_behavior(GOOD, 0, epoch=9, written_at=9), 0, written_at=9), GOOD).holds


@pytest.mark.parametrize(
    "output",
    [
        with_list(GOOD, 2, list_version=4),
        with_list(GOOD, 2, list_version=2),
        with_list(GOOD, 2, user_seq=2),
    ],
    ids=["a jump", "a repeat", "made after no later behaviour"],
)
def test_i4_fails_on(output: Output) -> None:
    assert list_version_unbroken(output).holds is False


@pytest.mark.parametrize(
    "output",
    [
        with_list(GOOD, 1, items=("b", "d", "e")),
        with_list(GOOD, 3, items=("c", "e", "f")),
        with_list(with_behavior(GOOD, 3, action="view", item_id="a"), 2, items=("b", "d", "e")),
    ],
    ids=["a bought item", "a disliked item", "a bought item that was never returned"],
)
def test_i5_fails_on(output: Output) -> None:
    assert nothing_unwanted_shown(output, DEFAULT_ACTIONS).holds is False


def restored(checkpoint_id: int, path: str) -> Recovery:
    return replace(BACK, restored=Restore(checkpoint_id, path, 11_000))


@pytest.mark.parametrize(
    "recovery",
    [
        restored(1, "file:/chk-1"),
        restored(2, "file:/elsewhere/chk-2"),
        replace(BACK, restored=None),
        replace(BACK, checkpoints=BACK.checkpoints[1:]),
        replace(BACK, checkpoints=BACK.checkpoints[:1]),
    ],
    ids=["an older checkpoint", "another folder", "no restore", "no new checkpoint", "none complete before"],
)
def test_i6_fails_on(recovery: Recovery) -> None:
    assert restored_from_newest(recovery, EXPECTED).holds is False


def test_a_checkpoint_that_completed_between_fault_and_restore_is_the_newest() -> None:
    late = CompletedCheckpoint(3, "file:/chk-3", INJECTED_MS + 100)
    recovery = replace(BACK, checkpoints=(CompletedCheckpoint(4, "file:/chk-4", 17_000), late, *BACK.checkpoints[1:]))
    assert restored_from_newest(recovery, EXPECTED).holds is False
    assert restored_from_newest(replace(recovery, restored=Restore(3, "file:/chk-3", 11_000)), EXPECTED).holds


@pytest.mark.parametrize(
    "recovery",
    [
        replace(BACK, detected_ms=None),
        replace(BACK, restarted_ms=None),
        replace(BACK, caught_up_ms=None),
        replace(BACK, reprocessed=0),
        replace(BACK, checkpoints=BACK.checkpoints[:1]),
    ],
    ids=["not detected", "not restarted", "not caught up", "nothing processed again", "no checkpoint before"],
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

"""Each judge passes a right output, and fails one that is broken on purpose."""

from dataclasses import replace

import msgspec
import pytest

from job.drills.evidence import Output, Repeat, SeenLetter
from job.drills.judges import (
    as_control,
    doubled,
    every_record_once,
    list_version_unbroken,
    lost,
    nothing_unwanted_shown,
    published_as_view,
    user_seq_unbroken,
    wrong_lists,
)
from model.actions import DEFAULT_ACTIONS
from tests.unit.drills.outputs import (
    PLANTED,
    behavior,
    good_output,
    made_list,
    with_behavior,
    with_list,
    without_behavior,
)
from udfs.publishing.publication import PublishedList, newest_lists

GOOD = good_output()


def test_a_right_output_passes_every_judge() -> None:
    findings = [
        every_record_once(GOOD, PLANTED),
        user_seq_unbroken(GOOD),
        as_control(GOOD, good_output()),
        list_version_unbroken(GOOD),
        nothing_unwanted_shown(GOOD, DEFAULT_ACTIONS),
        published_as_view(GOOD),
    ]
    assert [finding.holds for finding in findings] == [True] * 6
    assert (lost(GOOD), doubled(GOOD), wrong_lists(GOOD, GOOD)) == ([], [], [])


def without_list(output: Output) -> Output:
    return replace(output, lists=output.lists[1:])


BROKEN_RECORDS = {
    "a repeat that was applied": with_behavior(GOOD, 2, outcome="applied", user_seq=3),
    "a behaviour taken for a repeat": with_behavior(GOOD, 1, outcome="duplicate", user_seq=None),
    "a behaviour that is a dead letter": replace(
        without_behavior(GOOD, 0), lists=GOOD.lists[1:], letters=(*GOOD.letters, SeenLetter(0, 0, "late", 1, 1))
    ),
    "a dead letter for another reason": replace(GOOD, letters=(SeenLetter(0, 4, "late", 1, 5_004),)),
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
    assert every_record_once(output, PLANTED).holds is False


def test_a_run_over_the_beginning_of_the_log_is_compared_with_that_of_the_control() -> None:
    start = GOOD.up_to([4])
    assert (start.ends, len(start.behaviors), len(start.letters)) == ({0: 4}, 4, 0)
    assert [(row.user_id, row.list_version) for row in start.latest] == [("u1", 3)]
    assert every_record_once(start, PLANTED).holds
    assert as_control(start, GOOD).holds is False
    assert GOOD.up_to([7]) == GOOD


def test_lost_and_doubled_are_counted() -> None:
    assert len(lost(without_behavior(GOOD, 2))) == 1
    assert len(doubled(BROKEN_RECORDS["a doubled behaviour"])) == 1


def test_a_fall_back_may_commit_a_row_again_in_a_higher_epoch_only() -> None:
    again = replace(GOOD, repeats=(Repeat("user_behavior", "0/1", (1, 2)),))
    twice = replace(GOOD, repeats=(Repeat("user_behavior", "0/1", (2, 2)),))
    assert every_record_once(again, PLANTED, falls_back=True).holds
    assert not every_record_once(twice, PLANTED, falls_back=True).holds


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


UNSCORED = {
    "all": ALL_FAILED,
    "one of five": with_list(GOOD, 2, **FAILED),
    "no list": replace(GOOD, lists=()),
}


@pytest.mark.parametrize("output", UNSCORED.values(), ids=UNSCORED)
def test_i3_fails_without_scores_even_if_the_control_has_none_either(output: Output) -> None:
    assert as_control(output, None).holds is False
    assert as_control(output, output).holds is False


def test_i3_says_why_there_were_no_scores_and_bears_one_list_in_a_hundred() -> None:
    assert as_control(ALL_FAILED, None).examples == ("5 of 5 lists were made without a model's scores: model_error 5",)
    many = replace(
        GOOD, lists=(*GOOD.lists * 20, replace(GOOD.lists[0], source="fallback", fallback_reason="deadline"))
    )
    assert as_control(many, None).holds


def test_where_the_model_fails_for_a_while_only_lists_with_scores_are_compared() -> None:
    meanwhile = replace(with_list(GOOD, 2, items=("x",), scores=(0.0,), reasons=("popular",), **FAILED), made_again=1)
    assert as_control(meanwhile, GOOD, scores=False).holds
    assert wrong_lists(meanwhile, GOOD, scores=False) == []
    assert as_control(with_list(meanwhile, 3, items=("d", "e", "x")), GOOD, scores=False).holds is False
    assert as_control(without_behavior(meanwhile, 1), GOOD, scores=False).holds is False


def test_where_the_model_fails_for_a_while_the_other_lists_are_equal_to_their_recomputation() -> None:
    meanwhile = with_list(GOOD, 2, items=("x",), scores=(0.0,), reasons=("popular",), **FAILED)
    changed = replace(meanwhile, made_again=1, unequal=("list 3 of user u1: another item",))
    assert as_control(changed, GOOD, scores=False).examples == changed.unequal
    assert as_control(meanwhile, GOOD, scores=False).examples == ("0 of 1 lists without scores were made again",)


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


def published(**changes: object) -> Output:
    """The good output with another published list of user u1."""
    return replace(GOOD, published={**GOOD.published, "u1": msgspec.structs.replace(GOOD.published["u1"], **changes)})


BROKEN_PUBLICATIONS = {
    "a user that was not published": replace(GOOD, published={"u2": GOOD.published["u2"]}),
    "nothing published": replace(GOOD, published={}),
    "a user that is not in the view": replace(GOOD, latest=GOOD.latest[:1]),
    "an older version": published(list_version=2),
    "a newer version": published(list_version=4),
    "other items": published(items=["b", "e", "d"]),
    "an earlier attempt": published(epoch=0),
    "a later attempt": published(epoch=2),
}


@pytest.mark.parametrize("output", BROKEN_PUBLICATIONS.values(), ids=BROKEN_PUBLICATIONS)
def test_i8_fails_on(output: Output) -> None:
    assert published_as_view(output).holds is False


def test_i8_judges_by_the_rule_for_readers_whatever_order_records_come_in() -> None:
    """After a restore the same version is there twice, under two epochs, and a killed writer's older one comes last."""
    rows = [("u1", 1, 2, ["x"]), ("u1", 2, 3, ["b", "d", "e"]), ("u1", 1, 3, ["x"]), ("u2", 1, 2, ["c", "e", "f"])]
    values = [msgspec.json.encode(PublishedList(*row)) for row in rows]
    restored = with_list(GOOD, 2, epoch=2)
    assert published_as_view(replace(restored, published=newest_lists(values))).holds
    last_record = {row[0]: PublishedList(*row) for row in rows}
    assert published_as_view(replace(restored, published=last_record)).holds is False

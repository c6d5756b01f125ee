"""Combinations of faults: their text, drawing from a seed, and shrinking to the smallest that fails."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.drills.combinations import Combination, Strike, Trait, draw, fits, parse, shrink, simpler, text_of
from job.drills.combined import TRAITS, combined, is_combined, named
from job.drills.faults import FAULTS
from job.drills.site import Needs

NAMES = ("a", "b", "c")
moments = st.integers(0, 50).map(lambda tenths: tenths / 10)
later = st.builds(Strike, st.sampled_from(NAMES), moments, st.booleans())
combinations = st.builds(
    lambda first, others: (Strike(first), *others), st.sampled_from(NAMES), st.lists(later, max_size=4)
)


@given(combinations)
def test_a_combination_is_what_its_text_says(combination: Combination) -> None:
    assert parse(text_of(combination)) == combination


@pytest.mark.parametrize("text", ["a b", "a +1", "a +1 b c", "a *1 b", "a +-1 b", "a +1e9 b", "a +nan b", "a +٣ b"])
def test_what_is_no_combination_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="write"):
        parse(text)


@given(combinations, st.sets(st.sampled_from(NAMES), min_size=1), moments, st.integers(1, 3))
def test_what_is_left_fails_and_nothing_simpler_does(
    combination: Combination, guilty: set[str], least_s: float, times: int
) -> None:
    """It fails if the guilty faults are there so many times, one of them late enough."""

    def fails(candidate: Combination) -> bool:
        mine = [each for each in candidate if each.fault in guilty]
        return len(mine) >= times and max((each.after_s for each in mine), default=0) >= least_s

    if not fails(combination):
        return
    asked: list[Combination] = []
    smallest = shrink(combination, _noted(fails, asked))
    assert fails(smallest)
    assert not any(map(fails, simpler(smallest)))
    assert len(asked) == len(set(asked)), "nothing is run twice"
    assert len(smallest) <= len(combination)
    assert smallest[0].after_s == 0


@given(combinations)
def test_what_always_fails_shrinks_to_one_fault_and_what_no_part_explains_stays(combination: Combination) -> None:
    assert len(shrink(combination, lambda _: True)) == 1
    assert shrink(combination, lambda _: False) == combination


@given(combinations)
def test_each_step_is_a_combination_and_smaller(combination: Combination) -> None:
    def size(each: Combination) -> tuple[int, float]:
        return len(each), sum(strike.after_s for strike in each)

    for candidate in simpler(combination):
        assert parse(text_of(candidate)) == candidate
        assert size(candidate) < size(combination)


@given(st.integers(0, 10**6), st.integers(0, 30))
def test_equal_seeds_draw_equal_combinations_that_fit(seed: int, count: int) -> None:
    drawn = draw(seed, count, TRAITS)
    assert drawn == draw(seed, count + 5, TRAITS)[:count]
    for each in drawn:
        assert 1 <= len(each) <= 3
        assert fits(each, TRAITS)
        kinds = {FAULTS[strike.fault].needs for strike in each}
        assert len(kinds - {Needs.PLAIN}) <= 1
        assert named(text_of(each)).needs == (*(kinds - {Needs.PLAIN}), Needs.PLAIN)[0]


def test_all_sizes_faults_and_kinds_of_moments_are_drawn() -> None:
    drawn = draw(1, 500, TRAITS)
    assert {len(each) for each in drawn} == {1, 2, 3}
    assert {strike.fault for each in drawn for strike in each} == set(TRAITS)
    assert {strike.recovered for each in drawn for strike in each[1:]} == {True, False}
    assert len(set(drawn)) > 250
    assert draw(1, 20, TRAITS) != draw(2, 20, TRAITS)


def test_faults_that_need_other_jobs_or_change_the_same_do_not_fit() -> None:
    traits = {
        "kill": Trait("plain"),
        "lead": Trait("ha"),
        "follow": Trait("registry"),
        "spoil": Trait("plain", "checkpoints"),
        "cut": Trait("plain", "checkpoints"),
    }

    def fit(*names: str) -> bool:
        return fits([Strike(name) for name in names], traits)

    assert fit("kill", "lead")
    assert fit("kill", "spoil")
    assert not fit("lead", "follow")
    assert not fit("spoil", "cut")
    assert not fit("kill", "lead", "spoil")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("flood", "there is no fault"),
        ("kill-leader +1 flood", "there is no fault"),
        ("kill-leader +1 rescale-up", "cannot be combined"),
        ("kill-task-manager +1 kill-broker", "cannot be combined"),
        ("clock-ahead +1 kill-task-manager", "cannot be combined"),
        ("kill-task-manager >1 cut-job-manager", "cannot be combined"),
        ("model-raises +1 model-hangs", "different"),
        ("checkpoint-folder-gone +1 checkpoint-disk-full", "different"),
        ("zookeeper-gone +1 zookeeper-gone", "different"),
        ("checkpoint-disk-slow +1 kill-leader", "different"),
        ("kill-leader kill-leader", "write"),
    ],
)
def test_what_cannot_be_injected_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        named(text)


def test_a_combination_is_expected_to_do_what_its_faults_do() -> None:
    fault = named("model-raises +1 kill-leader >0.5 kill-python-worker")
    assert is_combined(fault)
    assert fault.name == "model-raises +1 kill-leader >0.5 kill-python-worker"
    assert fault.needs is Needs.HIGH_AVAILABILITY
    assert fault.expects == replace(FAULTS["kill-leader"].expects, scores=False, reprocesses=False)
    assert fault.mends_within_s == 180.0 * 3
    assert combined((Strike("kill-leader"),)) is FAULTS["kill-leader"]


def test_a_combination_is_left_out_where_one_of_its_faults_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1_000)
    assert named("kill-task-manager +1 checkpoint-disk-full").unavailable() == "only root may mount a small disk"
    assert named("kill-task-manager +1 kill-python-worker").unavailable() is None


def _noted(fails: Callable[[Combination], bool], asked: list[Combination]) -> Callable[[Combination], bool]:
    def noted(candidate: Combination) -> bool:
        asked.append(candidate)
        return fails(candidate)

    return noted

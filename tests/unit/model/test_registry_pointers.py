"""Pointers move as a user expects, whatever moves came before."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.registry.errors import RegistryMissingError, RegistryMoveError
from model.registry.pointers import PREVIOUS_LIMIT, Pointers, Version

VERSIONS = [Version(f"v{n}", f"{n:064x}") for n in range(4)]
A, B, C, _ = VERSIONS


def apply(now: Pointers, move: str, version: Version) -> Pointers:
    """A move by its name; one that is refused leaves everything as it was."""
    try:
        moved: Pointers = now.rolled_back() if move == "rolled_back" else getattr(now, move)(version)
    except (RegistryMissingError, RegistryMoveError):
        return now
    return moved


Moves = list[tuple[str, Version]]
moves = st.lists(
    st.tuples(st.sampled_from(["promoted", "with_candidate", "offered", "rolled_back"]), st.sampled_from(VERSIONS)),
    max_size=12,
)


def after(done: Moves) -> Pointers:
    now = Pointers()
    for move, version in done:
        now = apply(now, move, version)
    return now


@given(moves, moves)
def test_the_revision_rises_with_every_change_and_only_then(done: Moves, more: Moves) -> None:
    now = after(done)
    for move, version in more:
        moved = apply(now, move, version)
        assert moved.revision == now.revision + (moved != now)
        now = moved


@given(moves)
def test_the_candidate_is_never_current(done: Moves) -> None:
    now = after(done)
    assert now.candidate is None or now.candidate != now.current


@given(moves, st.sampled_from(VERSIONS))
def test_a_rollback_undoes_a_promotion(done: Moves, version: Version) -> None:
    now = after([("promoted", A), *done])
    promoted = now.promoted(version)
    if promoted != now:
        assert promoted.rolled_back().current == now.current
        assert promoted.rolled_back().previous == now.previous[-PREVIOUS_LIMIT + 1 :]


def test_rollbacks_go_back_one_promotion_each() -> None:
    now = Pointers().promoted(A).promoted(B).promoted(C)
    assert now.rolled_back().current == B
    assert now.rolled_back().rolled_back().current == A
    with pytest.raises(RegistryMissingError, match="nothing to roll back to"):
        now.rolled_back().rolled_back().rolled_back()


def test_a_promoted_candidate_is_a_candidate_no_more() -> None:
    now = Pointers().promoted(A).with_candidate(B)
    assert now.promoted(B).candidate is None
    assert now.promoted(C).candidate == B


def test_current_cannot_be_the_candidate() -> None:
    with pytest.raises(RegistryMoveError, match="current already"):
        Pointers().promoted(A).with_candidate(A)


def test_the_first_offered_is_current_and_the_next_the_candidate() -> None:
    now = Pointers().offered(A).offered(B)
    assert (now.current, now.candidate) == (A, B)
    assert now.offered(A).revision == now.offered(B).revision == now.revision


def test_no_more_promotions_are_remembered_than_the_limit() -> None:
    now = Pointers()
    for n in range(PREVIOUS_LIMIT + 10):
        now = now.promoted(VERSIONS[n % 2])
    assert len(now.previous) == PREVIOUS_LIMIT

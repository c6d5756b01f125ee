"""Polls pause for as long as the last one had to wait, and then take turns."""

import itertools

from udfs.log.backpressure import BackpressurePause


def after(*polls: tuple[int, int, int]) -> BackpressurePause:
    """After these polls: (partition's key, when it began, when it was done)."""
    pause = BackpressurePause()
    for key, began_ms, done_ms in polls:
        pause.polled(key, began_ms, done_ms)
    return pause


def test_a_poll_that_did_not_wait_pauses_nobody() -> None:
    assert after((1, 1_000, 1_005)).until_ms == 0


def test_a_poll_that_waited_pauses_all_for_as_long() -> None:
    assert after((1, 1_000, 1_100)).until_ms == 1_200


def test_a_poll_that_waited_for_seconds_pauses_all_for_longer_than_downstream_needs_for_a_bundle() -> None:
    assert after((1, 1_000, 2_100)).until_ms == 3_200


def test_no_pause_is_longer_than_two_seconds() -> None:
    assert after((1, 1_000, 61_000)).until_ms == 63_000


def test_a_quick_poll_does_not_end_a_pause() -> None:
    assert after((1, 1_000, 1_100), (2, 1_150, 1_151)).until_ms == 1_200


def test_while_downstream_has_enough_checks_grow_rarer() -> None:
    pause = after((1, 1_000, 1_000))
    checks = [1_000]
    while checks[-1] < 3_000:
        pause.full(checks[-1], 10)
        checks.append(pause.until_ms)
    waits = [later - earlier for earlier, later in itertools.pairwise(checks)]
    assert waits == sorted(waits)
    assert waits[0] == 10
    assert waits[-1] == 250
    assert len(waits) < 20


def test_a_check_that_found_enough_shortens_no_pause() -> None:
    pause = after((1, 1_000, 2_000))
    pause.full(2_001, 10)
    assert pause.until_ms == 3_000


def test_after_a_pause_who_waited_longest_goes_first() -> None:
    pause = after((1, 1_000, 1_001), (2, 1_010, 1_011), (3, 1_020, 1_120))
    assert pause.turn(1) < pause.turn(2) < pause.turn(3)


def test_a_partition_never_polled_goes_with_the_first() -> None:
    pause = after((1, 1_000, 1_100), (2, 1_100, 1_200))
    assert pause.turn(7) == pause.turn(1) == pause.until_ms

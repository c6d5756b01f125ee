"""A small run whose output is right, to be broken on purpose."""

from dataclasses import replace

from job.drills.evidence import (
    CompletedCheckpoint,
    Footprint,
    Output,
    Recovery,
    Restore,
    SeenBehavior,
    SeenLetter,
)
from job.explain.same_lists import SeenList
from udfs.publishing.publication import PublishedList

INJECTED_MS = 10_000
PLANTED = {(0, 2): "duplicate", (0, 4): "not_json"}
"""The outcome that the records of `good_output` have to have, but for the applied ones."""
FOOTPRINT = Footprint(processes={"TaskManager": 2, "JobManager": 1}, ports=9, memory_mb=2_000.0)


def behavior(offset: int, action: str, item: str, seq: int | None, user: str = "u1") -> SeenBehavior:
    outcome = "applied" if seq else "duplicate"
    return SeenBehavior(0, offset, user, action, item, outcome, seq, 1, 5_000 + offset)


def made_list(offset: int, seq: int, *items: str, user: str = "u1") -> SeenList:
    scores = tuple(1 - place / 10 for place in range(len(items)))
    return SeenList(0, offset, user, seq, seq, items, scores, ("model",) * len(items), 5_000 + offset)


def good_output() -> Output:
    """Seven records of two users: a buy that is returned, a dislike that is forgiven, a repeat, a dead letter."""
    behaviors = (
        behavior(0, "view", "a", 1),
        behavior(1, "buy", "b", 2),
        behavior(2, "buy", "b", None),
        behavior(3, "return", "b", 3),
        behavior(5, "dislike", "c", 1, user="u2"),
        behavior(6, "click", "c", 2, user="u2"),
    )
    lists = (
        made_list(0, 1, "b", "c", "d"),
        made_list(1, 2, "c", "d", "e"),
        made_list(3, 3, "b", "d", "e"),
        made_list(5, 1, "d", "e", "f", user="u2"),
        made_list(6, 2, "c", "e", "f", user="u2"),
    )
    letters = (SeenLetter(0, 4, "not_json", 1, 5_004),)
    latest = (lists[2], lists[4])
    published = {row.user_id: PublishedList(row.user_id, 1, row.list_version, list(row.items)) for row in latest}
    predictions = (made_list(0, 1, "b", "c", "d", "x"),)
    return Output({0: 7}, behaviors, lists, latest, letters, predictions, published=published)


def with_list(output: Output, number: int, **changes: object) -> Output:
    """The output with one of its lists changed, in both views."""
    old = output.lists[number]
    new = replace(old, **changes)  # type: ignore[arg-type]
    lists = tuple(new if row is old else row for row in output.lists)
    return replace(output, lists=lists, latest=tuple(new if row is old else row for row in output.latest))


def without_behavior(output: Output, number: int) -> Output:
    """The output without one of its rows of user_behavior."""
    return replace(output, behaviors=output.behaviors[:number] + output.behaviors[number + 1 :])


def with_behavior(output: Output, number: int, **changes: object) -> Output:
    """The output with one of its rows of user_behavior changed."""
    new = replace(output.behaviors[number], **changes)  # type: ignore[arg-type]
    return replace(output, behaviors=(*output.behaviors[:number], new, *output.behaviors[number + 1 :]))


def good_recovery() -> Recovery:
    """Two checkpoints, a fault, a restore of the second, and a third one."""
    return Recovery(
        injected_ms=INJECTED_MS,
        detected_ms=10_200,
        restarted_ms=15_000,
        caught_up_ms=16_000,
        checkpoints=(
            CompletedCheckpoint(3, "file:/chk-3", 16_500),
            CompletedCheckpoint(2, "file:/chk-2", 9_500),
            CompletedCheckpoint(1, "file:/chk-1", 8_500),
        ),
        restored=Restore(2, "file:/chk-2", 11_000),
        reprocessed=40,
        evidence="tasks stopped",
        before=FOOTPRINT,
        after=FOOTPRINT,
    )

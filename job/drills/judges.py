"""The judges of a run's output after a fault: each rule that has to hold is a pure function over rows.

I1 every record of the log is accounted for, once    I5 nothing bought or disliked is shown
I2 user_seq has no gap and no repeat                 I6 restored from the newest checkpoint, and a new one completed
I3 lists and tables are those of the control run     I7 detected, restarted, caught up, and work was repeated
I4 list_version rises by one                         I8 a model scored the lists, in the control too
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, pairwise

from job.drills.evidence import Expectation, Offset, Output, Recovery, SeenBehavior, SeenList
from job.drills.findings import Finding
from job.drills.same_lists import difference
from model.actions import ActionTable, Kind

_NO_FAULT = "nothing was broken"
_MOST_FALLBACKS = 0.01
"""The largest share of lists made without scores.

A drill's job has no deadline and sheds nothing, so each of them means that the model failed.
"""
_NO_RESTART = "this fault restarts no task"


def lost(output: Output) -> list[str]:
    """Return the records without a row, and the applied behaviours without a list."""
    there = {row.at for row in output.behaviors} | {row.at for row in output.letters}
    listed = {row.at for row in output.lists}
    records = [f"record {_place(at)} is in no table" for at in _offsets(output) if at not in there]
    lists = [f"behaviour {_place(row.at)} made no list" for row in _applied(output) if row.at not in listed]
    return records + lists


def doubled(output: Output, *, falls_back: bool = False) -> list[str]:
    """Return rows that are there repeatedly, records that became several rows, and rows of no record."""
    rows = Counter([*(row.at for row in output.behaviors), *(row.at for row in output.letters)])
    made = Counter(row.at for row in output.lists)
    records = set(_offsets(output))
    # After a fall-back only repeats within one epoch are errors.
    repeats = [each for each in output.repeats if not falls_back or len(set(each.epochs)) < len(each.epochs)]
    return [
        *(f"{each.table} {each.key} was committed in epochs {each.epochs}" for each in repeats),
        *(f"record {_place(at)} is {times} rows" for at, times in rows.items() if times > 1),
        *(f"behaviour {_place(at)} made {times} lists" for at, times in made.items() if times > 1),
        *(f"row {_place(at)} is of no record" for at in rows.keys() - records),
        *(f"list {_place(at)} is of no applied behaviour" for at in made.keys() - {r.at for r in _applied(output)}),
    ]


def every_record_once(output: Output, *, falls_back: bool = False) -> Finding:
    """Judge I1: every offset is applied, a duplicate or a dead letter, sums agree, and each applied one made a list."""
    applied, others = len(_applied(output)), len(output.behaviors) - len(_applied(output))
    rows, records = applied + others + len(output.letters), sum(output.ends.values())
    sums = f"{applied} applied + {others} duplicates + {len(output.letters)} dead letters are not {records} records"
    wrong = [
        f"{_place(row.at)} has outcome {row.outcome!r}"
        for row in output.behaviors
        if row.outcome != ("duplicate" if row.user_seq is None else "applied")
    ]
    return Finding.of(
        [*([sums] if rows != records else []), *lost(output), *doubled(output, falls_back=falls_back), *wrong]
    )


def user_seq_unbroken(output: Output) -> Finding:
    """Judge I2: each user's applied behaviours are numbered 1, 2, 3 ... in the log's order."""
    ordered = sorted(_applied(output), key=lambda row: (row.user_id, row.at))
    broken: list[str] = []
    for user, rows in groupby(ordered, key=lambda row: row.user_id):
        broken += _steps(f"user {user}: user_seq", [row.user_seq or 0 for row in rows])
    return Finding.of(broken)


def as_control(output: Output, control: Output | None) -> Finding:
    """Judge I3: each user's final list, and the rows of all tables, are those of the run without a fault."""
    if control is None:
        return Finding.not_applicable("this is the control")
    tables = (
        ("user_behavior", _behavior_rows(output), _behavior_rows(control)),
        ("dead_letters", _letter_rows(output), _letter_rows(control)),
    )
    rows = []
    for table, mine, theirs in tables:
        rows += [f"{table}: {row} is not in the control" for row in mine - theirs]
        rows += [f"{table}: {row} is only in the control" for row in theirs - mine]
    latest = [f"final list of {each}" for each in _different(_latest(output), _latest(control))]
    different = _different(_by_version(output.predictions), _by_version(control.predictions))
    predictions = [f"predictions of {each}" for each in different]
    return Finding.of([*latest, *wrong_lists(output, control), *predictions, *rows])


def wrong_lists(output: Output, control: Output) -> list[str]:
    """Return the lists, of all versions, that are missing, superfluous or different from the control's."""
    return list(_different(_by_version(output.lists), _by_version(control.lists)))


def list_version_unbroken(output: Output) -> Finding:
    """Judge I4: each user's lists have the versions 1, 2, 3 ..., each made after a later behaviour."""
    ordered = sorted(output.lists, key=lambda row: (row.user_id, row.list_version))
    broken: list[str] = []
    for user, rows in groupby(ordered, key=lambda row: row.user_id):
        lists = list(rows)
        broken += _steps(f"user {user}: list_version", [row.list_version for row in lists])
        broken += [
            f"user {user}: list {newer.list_version} was made after behaviour {newer.user_seq}, the one before after "
            f"{older.user_seq}"
            for older, newer in pairwise(lists)
            if newer.user_seq <= older.user_seq
        ]
    return Finding.of(broken)


def nothing_unwanted_shown(output: Output, actions: ActionTable) -> Finding:
    """Judge I5: an item is in no list after it was bought (until returned) or disliked (until acted on again)."""
    lists = {(row.user_id, row.user_seq): row for row in output.lists}
    ordered = sorted(_applied(output), key=lambda row: (row.user_id, row.user_seq or 0))
    broken: list[str] = []
    for user, rows in groupby(ordered, key=lambda row: row.user_id):
        bought: set[str] = set()
        disliked: set[str] = set()
        for row in rows:
            kind = actions[row.action].kind
            if kind in {Kind.POSITIVE, Kind.TERMINAL}:
                disliked.discard(row.item_id)
            if kind is Kind.TERMINAL:
                bought.add(row.item_id)
            elif kind is Kind.REVERSAL:
                bought.discard(row.item_id)
            elif kind is Kind.NEGATIVE:
                disliked.add(row.item_id)
            if shown := lists.get((user, row.user_seq or 0)):
                broken += [
                    f"list {shown.list_version} of user {shown.user_id} shows {item}, which was {reason}"
                    for item in shown.items
                    for reason, unwanted in (("bought", bought), ("disliked", disliked))
                    if item in unwanted
                ]
    return Finding.of(broken)


def restored_from_newest(recovery: Recovery | None, expected: Expectation) -> Finding:
    """Judge I6: the job was restored from the newest complete checkpoint, and completed another one since."""
    if recovery is None or not expected.restarts:
        return Finding.not_applicable(_NO_FAULT if recovery is None else _NO_RESTART)
    restored = recovery.restored
    if restored is None:
        return Finding.of(["the job was not restored from any checkpoint"])
    older = [each for each in recovery.checkpoints if each.completed_ms <= restored.restored_ms]
    newest = max(older, key=lambda each: each.checkpoint_id, default=None)
    broken = []
    if newest is None or (restored.checkpoint_id, restored.path) != (newest.checkpoint_id, newest.path):
        there = "none" if newest is None else f"{newest.checkpoint_id} in {newest.path}"
        broken.append(f"restored from {restored.checkpoint_id} in {restored.path}; the newest complete one was {there}")
    if not any(each.completed_ms > restored.restored_ms for each in recovery.checkpoints):
        broken.append("no checkpoint completed after the restore")
    return Finding.of(broken)


def came_back(recovery: Recovery | None, expected: Expectation) -> Finding:
    """Judge I7: the fault came in the middle of work, was detected, and the job caught up.

    A fault before any completed checkpoint, or after which nothing had to be processed again, proves nothing and does
    not count.
    """
    if recovery is None:
        return Finding.not_applicable(_NO_FAULT)
    broken = []
    if expected.restarts:
        moments = {
            "detected": recovery.detected_ms,
            "restarted": recovery.restarted_ms,
            "caught up": recovery.caught_up_ms,
        }
        broken += [f"never {stage}" for stage, moment_ms in moments.items() if moment_ms is None]
        if not any(each.completed_ms < recovery.injected_ms for each in recovery.checkpoints):
            broken.append("does not count: no checkpoint was complete when the fault struck")
    elif recovery.caught_up_ms is None:
        broken.append("never caught up")
    if expected.reprocesses and recovery.reprocessed < 1:
        broken.append("does not count: no behaviour had to be processed again")
    return Finding.of(broken)


def scored(output: Output) -> Finding:
    """Judge I8: a model scored the lists; if it fails in both runs, their lists are equal but prove nothing."""
    fallbacks = [row for row in output.lists if row.source != "scored"]
    if len(fallbacks) <= _MOST_FALLBACKS * len(output.lists):
        return Finding.of([] if output.lists else ["no list was made"])
    reasons = Counter(row.fallback_reason or row.source for row in fallbacks).most_common()
    counts = ", ".join(f"{reason} {count:,}" for reason, count in reasons)
    return Finding.of(
        [f"{len(fallbacks):,} of {len(output.lists):,} lists were made without a model's scores: {counts}"]
    )


def _applied(output: Output) -> list[SeenBehavior]:
    return [row for row in output.behaviors if row.outcome == "applied"]


def _offsets(output: Output) -> Iterator[Offset]:
    return ((partition, offset) for partition, end in output.ends.items() for offset in range(end))


def _steps(name: str, numbers: Iterable[int]) -> Iterator[str]:
    before = 0
    for number in numbers:
        if number != before + 1:
            yield f"{name} {number} comes after {before}"
        before = number


def _behavior_rows(output: Output) -> Counter[tuple[object, ...]]:
    return Counter(
        (*row.at, row.user_id, row.action, row.item_id, row.outcome, row.user_seq) for row in output.behaviors
    )


def _letter_rows(output: Output) -> Counter[tuple[object, ...]]:
    return Counter((*row.at, row.reason) for row in output.letters)


def _latest(output: Output) -> dict[str, SeenList]:
    return {row.user_id: row for row in output.latest}


def _by_version(lists: Iterable[SeenList]) -> dict[str, SeenList]:
    return {f"{row.user_id} version {row.list_version}": row for row in lists}


def _different(mine: Mapping[str, SeenList], theirs: Mapping[str, SeenList]) -> Iterator[str]:
    for key in sorted(mine.keys() | theirs.keys()):
        if key not in mine or key not in theirs:
            yield f"{key}: {'missing' if key not in mine else 'not in the control'}"
        elif found := difference(mine[key], theirs[key]):
            yield f"{key}: {found}"


def _place(at: Offset) -> str:
    return f"{at[0]}/{at[1]}"

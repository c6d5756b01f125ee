"""The judges of a run's tables: each rule that has to hold is a pure function over rows.

I1 every record of the log is accounted for, once    I4 list_version rises by one
I2 user_seq has no gap and no repeat                 I5 nothing bought or disliked is shown
I3 lists and tables are those of the control run, and a model scored them
I8 what was published, reduced by its readers' rule, is the view of the newest lists
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby, pairwise

from job.drills.evidence import Output, SeenBehavior
from job.drills.findings import Finding
from job.explain.same_lists import Offset, SeenList, difference
from model.actions import ActionTable, Kind

_APPLIED = "applied"
_SCORED = "scored"
_MOST_FALLBACKS = 0.01
"""The largest share of lists made without scores.

A drill's job has no deadline and sheds nothing, so each of them means that the model failed.
"""


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


def every_record_once(output: Output, planted: Mapping[Offset, str], *, falls_back: bool = False) -> Finding:
    """Judge I1: every offset is applied, a duplicate or a dead letter, as it was made to be; sums and lists agree.

    Args:
        output: the run's tables.
        planted: the outcome of each record of the log that is not to be applied.
        falls_back: whether rows may have been committed again in a higher epoch.
    """
    applied, others = len(_applied(output)), len(output.behaviors) - len(_applied(output))
    letters = len(output.letters)
    rows, records = applied + others + letters, sum(output.ends.values())
    sums = f"{applied} applied + {others} duplicates + {letters} dead letters are not {records} records"
    wrong = [
        f"{_place(row.at)} has outcome {row.outcome!r}"
        for row in output.behaviors
        if row.outcome != ("duplicate" if row.user_seq is None else _APPLIED)
    ]
    found = [*((row.at, row.outcome) for row in output.behaviors), *((row.at, row.reason) for row in output.letters)]
    wrong += [
        f"record {_place(at)} is {outcome} in place of {planted.get(at, _APPLIED)}"
        for at, outcome in found
        if outcome != planted.get(at, _APPLIED)
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


def as_control(output: Output, control: Output | None, *, scores: bool = True) -> Finding:
    """Judge I3: each user's final list, and the rows of all tables, are those of the run without a fault.

    A model scored the lists, in the control too: if it fails in both runs, their lists are equal but prove nothing.

    Args:
        output: the run's tables.
        control: those of the run without a fault over the same records; None if this is it.
        scores: whether a model scored all the time; if not, only lists with scores are compared.
    """
    unscored = _unscored(output) if scores else []
    if control is None:
        return Finding.of(unscored)
    tables = (
        ("user_behavior", _behavior_rows(output), _behavior_rows(control)),
        ("dead_letters", _letter_rows(output), _letter_rows(control)),
    )
    rows = []
    for table, mine, theirs in tables:
        rows += [f"{table}: {row} is not in the control" for row in mine - theirs]
        rows += [f"{table}: {row} is only in the control" for row in theirs - mine]
    different = wrong_lists(output, control, scores=scores)
    if not scores:
        # Every list is judged: those with scores by the control, all others by what their rows recorded.
        unscored = [*output.unequal, *_not_made_again(output)]
    if scores:
        different += [f"final list of {each}" for each in _different(_latest(output), _latest(control))]
        predictions = _different(_by_version(output.predictions), _by_version(control.predictions))
        different += [f"predictions of {each}" for each in predictions]
    return Finding.of([*unscored, *different, *rows])


def wrong_lists(output: Output, control: Output, *, scores: bool = True) -> list[str]:
    """Return the lists, of all versions, that are missing, superfluous or different from the control's.

    Without `scores` those are left out that no model scored.
    """
    mine, theirs = _by_version(output.lists), _by_version(control.lists)
    if not scores:
        mine = {key: row for key, row in mine.items() if row.source == _SCORED or key not in theirs}
        theirs = {key: row for key, row in theirs.items() if key in mine}
    return list(_different(mine, theirs))


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


def published_as_view(output: Output) -> Finding:
    """Judge I8: readers of the published lists, who keep one of each user by their rule, have what the view shows."""
    view = {row.user_id: row for row in output.latest}
    broken: list[str] = []
    for user in sorted(view.keys() | output.published.keys()):
        row, mine = view.get(user), output.published.get(user)
        if row is None or mine is None:
            broken.append(f"user {user}: {'published, but not in the view' if row is None else 'never published'}")
        elif (mine.order, tuple(mine.items)) != ((row.epoch, row.list_version), row.items):
            published = f"version {mine.list_version} of epoch {mine.epoch} with {mine.items[:3]}"
            broken.append(
                f"user {user}: published is {published}..., the view has version {row.list_version} of epoch "
                f"{row.epoch} with {list(row.items[:3])}..."
            )
    return Finding.of(broken)


def _not_made_again(output: Output) -> list[str]:
    fallbacks = sum(row.source != _SCORED for row in output.lists)
    if output.made_again == fallbacks:
        return []
    return [f"{output.made_again:,} of {fallbacks:,} lists without scores were made again"]


def _unscored(output: Output) -> list[str]:
    """Return a complaint if too many lists were made without scores."""
    fallbacks = [row for row in output.lists if row.source != _SCORED]
    if len(fallbacks) <= _MOST_FALLBACKS * len(output.lists):
        return [] if output.lists else ["no list was made"]
    reasons = Counter(row.fallback_reason or row.source for row in fallbacks).most_common()
    counts = ", ".join(f"{reason} {count:,}" for reason, count in reasons)
    return [f"{len(fallbacks):,} of {len(output.lists):,} lists were made without a model's scores: {counts}"]


def _applied(output: Output) -> list[SeenBehavior]:
    return [row for row in output.behaviors if row.outcome == _APPLIED]


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

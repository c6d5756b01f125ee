"""The accuracy of a recommender: predictions of users' real next behaviours, through the contract that serving uses.

`evaluate` gives the metrics of the time split that every bundle's manifest carries; `model.bundles.manifest.PROTOCOL`
has its rules. Other protocols use the same parts (`model.evaluation.splits`): the rows to predict, the history before
them, and their ranks.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from model.datasets.interactions import Flags, Floats, Interactions, Ints
from model.records import EpochMs

Gains = npt.NDArray[np.float64]
TOP = 10
_SHARE = 0.1
"""The largest share of all targets for one user; or three times the median user's number, if that is more."""
_CELLS = 1 << 21
"""The most scores, and the most excluded items with pads, in a batch: 8 and 16 MB, of which a few exist at once."""


@dataclass(frozen=True, slots=True)
class Targets:
    """T behaviours to predict, each with its user's history just before it.

    Attributes:
        user: (T,), the user of each target.
        history: (T, L), 0 pads on the left.
        weight: (T, L).
        age_s: (T, L), seconds before the target.
        seen: for each target the items its user has interacted with, in the order of their first time; those of one
            user are views of one array.
        target: (T,), model index; 0 is outside the vocabulary.
        known: (T,), true if the user has history before the cut-off.
        items: n, size of the vocabulary.
    """

    user: Ints
    history: Ints
    weight: Floats
    age_s: Floats
    seen: tuple[Ints, ...]
    target: Ints
    known: Flags
    items: int

    def __len__(self) -> int:
        return len(self.target)


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Hit rate and NDCG over a number of targets; both are NaN without a target.

    Attributes:
        targets: number of targets.
        hr_10: share of targets among the first ten.
        ndcg_10: mean over targets of 1 / log2(rank + 1), or 0 behind the first ten (Järvelin and Kekäläinen 2002).
    """

    targets: int
    hr_10: float
    ndcg_10: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Accuracy for users with history before the cut-off, and for everyone."""

    known: Accuracy
    everyone: Accuracy


@dataclass(frozen=True, slots=True)
class Ranking:
    """A recommender's answers to T targets.

    Attributes:
        items: (T, at most K), model indexes, best first; 0 where no item was left.
        rank: (T,), the target's place from 1; 0 where it is not among the items.
    """

    items: Ints
    rank: Ints

    def gains(self, top: int) -> Gains:
        """Return 1 / log2(rank + 1) for targets among the first `top`, 0 for the others. (T,)."""
        return np.where(self.hits(top), 1.0 / np.log2(np.maximum(self.rank, 1) + 1.0), 0.0)

    def hits(self, top: int) -> Flags:
        """Mark the targets among the first `top`. (T,)."""
        return (self.rank > 0) & (self.rank <= top)


@dataclass(frozen=True, slots=True)
class _Target:
    """One row to predict, with the newest rows of its user's history before it.

    Attributes:
        row: row of the log.
        history_rows: at most L rows of the log, oldest first.
        seen: items that the user interacted with before, each once.
        known: true if the user has history before the cut-off.
    """

    row: int
    history_rows: Ints
    seen: Ints
    known: bool


def find_targets(
    log: Interactions, cut_off: EpochMs, history_length: int, *, at_most: int = 20_000, per_user: int | None = None
) -> Targets:
    """Collect the targets of the protocol.

    Args:
        log: the whole log, in the model's vocabulary.
        cut_off: epoch milliseconds; older behaviours were trained on.
        history_length: L.
        at_most: limit of targets; of more, this many are taken at even distances.
        per_user: limit of one user's targets, taken likewise; None is the limit of `fair_limit`.
    """
    rows = thinned(shared(log, rows_after(log, cut_off), per_user), at_most)
    return targets_at(log, rows, history_length, cut_off=cut_off)


def rows_after(log: Interactions, cut_off: EpochMs) -> Ints:
    """Return the rows to predict, grouped by user.

    These are at or after the cut-off, enter histories, are new to their user and have a history before them.
    """
    found = []
    for _, rows in log.rows_by_user():
        enters = log.in_history[rows] & (log.item[rows] > 0)
        follows = np.cumsum(enters) - enters > 0  # an item of the vocabulary
        new = log.in_history[rows] & new_to_user(log.item[rows])
        found.append(rows[new & follows & (log.timestamp[rows] >= cut_off)])
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def shared(log: Interactions, rows: Ints, per_user: int | None = None) -> Ints:
    """Limit each user's targets, taken at even distances, so that no single user decides the accuracy.

    Args:
        log: the whole log.
        rows: rows of the targets, those of a user together.
        per_user: limit of one user's targets; None is the limit of `fair_limit`.
    """
    starts = np.flatnonzero(np.diff(log.user[rows], prepend=-1))
    groups = np.split(rows, starts[1:])
    limit = per_user or fair_limit(np.array([len(group) for group in groups]))
    return np.concatenate([thinned(group, limit) for group in groups])


def fair_limit(counts: Ints) -> int:
    """Return the limit of one user's targets, given the users' `counts` of targets.

    It is the most that is a `_SHARE` of the targets left under it, but at least 1 and three times the median count.
    """
    limit = int(counts.max(initial=0))
    while (allowed := int(_SHARE * np.minimum(counts, limit).sum())) < limit:
        limit = allowed
    return max(limit, 1, int(3 * np.median(counts)) if len(counts) else 0)


def thinned(rows: Ints, at_most: int) -> Ints:
    """Return at most `at_most` of the rows, at even distances."""
    step = max(1.0, len(rows) / at_most)
    return rows[(np.arange(min(len(rows), at_most)) * step).astype(np.int64)]


def targets_at(log: Interactions, rows: Ints, history_length: int, *, cut_off: EpochMs | None = None) -> Targets:
    """Build the targets of chosen rows.

    Args:
        log: the whole log, in the model's vocabulary.
        rows: row numbers, those of a user together and in time order.
        history_length: L.
        cut_off: epoch milliseconds; users with an older history count as known. With None all users do.
    """
    wanted = np.zeros(len(log), dtype=np.bool_)
    wanted[rows] = True
    grouped = (of_user for _, of_user in log.rows_by_user() if wanted[of_user].any())
    chosen = [t for of_user in grouped for t in _targets_of(log, of_user, wanted, cut_off, history_length)]
    history = np.zeros((len(chosen), history_length), dtype=np.int64)
    weight, age_s = np.zeros_like(history, dtype=np.float32), np.zeros_like(history, dtype=np.float32)
    for number, target in enumerate(chosen):
        before = target.history_rows
        columns = slice(history_length - len(before), None)
        history[number, columns] = log.item[before]
        weight[number, columns] = log.weight[before]
        age_s[number, columns] = (log.timestamp[target.row] - log.timestamp[before]) / 1000
    return Targets(
        user=np.array([log.user[t.row] for t in chosen], dtype=np.int64),
        history=history,
        weight=weight,
        age_s=age_s,
        seen=tuple(t.seen for t in chosen),
        target=np.array([log.item[t.row] for t in chosen], dtype=np.int64),
        known=np.array([t.known for t in chosen], dtype=np.bool_),
        items=log.items,
    )


def evaluate(recommender: nn.Module, targets: Targets, *, batch_size: int = 256) -> Evaluation:
    """Rank every target, and return the accuracy by the protocol."""
    return evaluation_of(rank(recommender, targets, batch_size=batch_size), targets)


def evaluation_of(ranking: Ranking, targets: Targets) -> Evaluation:
    """Return the accuracy of a ranking of the targets."""
    gain = ranking.gains(TOP)
    return Evaluation(known=_accuracy(gain[targets.known]), everyone=_accuracy(gain))


def rank(recommender: nn.Module, targets: Targets, *, batch_size: int = 256) -> Ranking:
    """Rank each target in the recommender's list from the history just before it."""
    recommender.eval()
    items: list[Ints] = []  # (B, K) each
    with torch.inference_mode():
        for rows in _batches(targets, batch_size):
            exclude = pad_right(targets.seen[rows])
            inputs = (targets.history[rows], targets.weight[rows], targets.age_s[rows], exclude)
            best, _ = recommender(*map(torch.from_numpy, inputs))
            items.append(best.numpy())
    if not items:
        return Ranking(np.zeros((0, 0), dtype=np.int64), np.zeros(0, dtype=np.int64))
    return ranking_of(np.concatenate(items), targets.target)


def ranking_of(items: Ints, target: Ints) -> Ranking:
    """Find the targets, (T,), in the lists, (T, K)."""
    hits = (items == target[:, np.newaxis]) & (items > 0)
    return Ranking(items, np.where(hits.any(1), hits.argmax(1) + 1, 0))


def new_to_user(items: Ints) -> Flags:
    """Mark the first time of each of a user's items, oldest first; items outside the vocabulary always count as new."""
    _, first_at = np.unique(items, return_index=True)
    new: Flags = items == 0
    new[first_at] = True
    return new


def _targets_of(
    log: Interactions, rows: Ints, wanted: Flags, cut_off: EpochMs | None, history_length: int
) -> Iterator[_Target]:
    """Yield a user's targets; histories and seen items are views of two arrays, so memory grows only with the rows."""
    items = log.item[rows]
    enters = log.in_history[rows] & (items > 0)
    known = cut_off is None or bool((enters & (log.timestamp[rows] < cut_off)).any())
    is_new = new_to_user(items) & (items > 0)
    history, seen = rows[enters], items[is_new]
    entered: Ints = np.cumsum(enters) - enters  # before each row, (R,)
    seen_before: Ints = np.cumsum(is_new) - is_new  # (R,)
    for at in np.flatnonzero(wanted[rows]).tolist():
        newest = history[max(0, entered[at] - history_length) : entered[at]]
        yield _Target(int(rows[at]), newest, seen[: seen_before[at]], known)


def _batches(targets: Targets, size: int) -> Iterator[slice]:
    """Yield batches of `size` targets, or of fewer where items or exclusions are many, so that memory is bounded."""
    size = max(1, min(size, _CELLS // (targets.items + 1)))
    start = widest = 0
    for at, seen in enumerate(targets.seen):
        widest = max(widest, len(seen))
        if at > start and (at - start == size or (at + 1 - start) * widest > _CELLS):
            yield slice(start, at)
            start, widest = at, len(seen)
    if start < len(targets):
        yield slice(start, len(targets))


def pad_right(rows: Sequence[Ints]) -> Ints:
    """Stack rows of any length, padded with 0 on the right. -> (R, longest)."""
    padded = np.zeros((len(rows), max(map(len, rows), default=0)), dtype=np.int64)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return padded


def _accuracy(gain: Gains) -> Accuracy:
    if not len(gain):
        return Accuracy(0, math.nan, math.nan)
    return Accuracy(len(gain), float((gain > 0).mean()), float(gain.mean()))

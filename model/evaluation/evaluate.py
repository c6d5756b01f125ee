"""How well a recommender foresees what users really did next, through the contract that serving uses.

`evaluate` is the time split that every bundle's manifest carries; `model.bundles.manifest.PROTOCOL` says how it
counts. What it is made of serves other protocols too (`model.evaluation.splits`): rows to foresee, what is known
before them, their ranks.
"""

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
SHARE = 0.1
"""Of all targets, so many may be one user's; or three times the median user's, where users are few."""
_CELLS = 1 << 21
"""Scores, and excluded items with their pads, that a batch has at most: 8 and 16 MB, of which there are a few each."""


@dataclass(frozen=True, slots=True)
class Targets:
    """T behaviours to foresee, each with what is known just before it.

    Attributes:
        user: (T,), whose they are.
        history: (T, L), 0 pads on the left.
        weight: (T, L).
        age_s: (T, L), seconds before the target.
        seen: for each target the items its user has met, in the order they were met; of one user, parts of one array.
        target: (T,), model index; 0 is outside the vocabulary.
        known: (T,), the user has history before the cut-off.
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
    """Hit rate and NDCG over a number of targets.

    Attributes:
        targets: how many there were.
        hr_10: share of targets among the first ten.
        ndcg_10: mean of 1 / log2(rank + 1) for those, 0 for the others (Järvelin and Kekäläinen 2002).
    """

    targets: int
    hr_10: float
    ndcg_10: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Accuracy for users that the training data knows, and for everyone."""

    known: Accuracy
    everyone: Accuracy


@dataclass(frozen=True, slots=True)
class Ranking:
    """What a recommender answered to T targets.

    Attributes:
        items: (T, at most K), model indexes, best first; 0 where there was nothing left.
        rank: (T,), the target's place from 1; 0 where it is not among the items.
    """

    items: Ints
    rank: Ints

    def gains(self, top: int) -> Gains:
        """1 / log2(rank + 1) for targets among the first `top`, 0 for the others. (T,)."""
        return np.where(self.hits(top), 1.0 / np.log2(np.maximum(self.rank, 1) + 1.0), 0.0)

    def hits(self, top: int) -> Flags:
        """Whether the target is among the first `top`. (T,)."""
        return (self.rank > 0) & (self.rank <= top)


@dataclass(frozen=True, slots=True)
class _Target:
    """One row to foresee, and the newest rows of the same user's history that lie before it."""

    row: int
    history_rows: Ints
    seen: Ints
    known: bool


def find_targets(
    log: Interactions, cut_off: EpochMs, history_length: int, *, at_most: int = 20_000, per_user: int | None = None
) -> Targets:
    """Collects the targets of the protocol.

    Args:
        log: the whole log, in the model's vocabulary.
        cut_off: what is older was trained on.
        history_length: L.
        at_most: of more targets, so many are taken at even distances.
        per_user: of more targets of one user, so many are taken; None is the share that `fair_limit` gives.
    """
    rows = thinned(shared(log, rows_after(log, cut_off), per_user), at_most)
    return targets_at(log, rows, history_length, cut_off=cut_off)


def rows_after(log: Interactions, cut_off: EpochMs) -> Ints:
    """The rows at or after the cut-off that enter histories, are new to their user and have a history before them.

    They are grouped by user.
    """
    found = [rows[_foreseeable(log, rows) & (log.timestamp[rows] >= cut_off)] for _, rows in log.rows_by_user()]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


def shared(log: Interactions, rows: Ints, per_user: int | None = None) -> Ints:
    """Take at even distances what one user may have of the targets, so that the accuracy is not that user's alone.

    Args:
        log: the whole log.
        rows: targets, those of a user together.
        per_user: how many; None is the share that `fair_limit` gives.
    """
    starts = np.flatnonzero(np.diff(log.user[rows], prepend=-1))
    groups = np.split(rows, starts[1:])
    limit = per_user or fair_limit(np.array([len(group) for group in groups]))
    return np.concatenate([thinned(group, limit) for group in groups])


def fair_limit(counts: Ints) -> int:
    """Return how many targets a user may have where users have so many: the most that is a SHARE of what is left."""
    limit = int(counts.max(initial=0))
    while (allowed := int(SHARE * np.minimum(counts, limit).sum())) < limit:
        limit = allowed
    return max(limit, 1, int(3 * np.median(counts)) if len(counts) else 0)


def thinned(rows: Ints, at_most: int) -> Ints:
    """So many of the rows, at even distances."""
    step = max(1.0, len(rows) / at_most)
    return rows[(np.arange(min(len(rows), at_most)) * step).astype(np.int64)]


def targets_at(log: Interactions, rows: Ints, history_length: int, *, cut_off: EpochMs | None = None) -> Targets:
    """Makes targets of chosen rows.

    Args:
        log: the whole log, in the model's vocabulary.
        rows: row numbers, those of a user together and in time order.
        history_length: L.
        cut_off: users with a history older than it are known; None knows everyone.
    """
    wanted = np.zeros(len(log), dtype=np.bool_)
    wanted[rows] = True
    grouped = (own for _, own in log.rows_by_user() if wanted[own].any())
    chosen = [t for own in grouped for t in _targets_of(log, own, wanted, cut_off, history_length)]
    columns = [_pad_left(log, t, history_length) for t in chosen]
    shape = (len(chosen), history_length)
    return Targets(
        user=np.array([log.user[t.row] for t in chosen], dtype=np.int64),
        history=np.array([c[0] for c in columns], dtype=np.int64).reshape(shape),
        weight=np.array([c[1] for c in columns], dtype=np.float32).reshape(shape),
        age_s=np.array([c[2] for c in columns], dtype=np.float32).reshape(shape),
        seen=tuple(t.seen for t in chosen),
        target=np.array([log.item[t.row] for t in chosen], dtype=np.int64),
        known=np.array([t.known for t in chosen], dtype=np.bool_),
        items=log.items,
    )


def evaluate(recommender: nn.Module, targets: Targets, *, batch_size: int = 256) -> Evaluation:
    """Ranks every target by the protocol."""
    return evaluation_of(rank(recommender, targets, batch_size=batch_size), targets)


def evaluation_of(ranking: Ranking, targets: Targets) -> Evaluation:
    """The accuracy of what was answered to the targets."""
    gain = ranking.gains(TOP)
    return Evaluation(known=_accuracy(gain[targets.known]), everyone=_accuracy(gain))


def rank(recommender: nn.Module, targets: Targets, *, batch_size: int = 256) -> Ranking:
    """Asks the recommender for its list before every target."""
    recommender.eval()
    with torch.inference_mode():
        items = [_answers(recommender, targets, rows) for rows in _batches(targets, batch_size)]
    if not items:
        return Ranking(np.zeros((0, 0), dtype=np.int64), np.zeros(0, dtype=np.int64))
    return ranking_of(np.concatenate(items), targets.target)


def ranking_of(items: Ints, target: Ints) -> Ranking:
    """Looks the targets, (T,), up in the lists, (T, K)."""
    hits = (items == target[:, np.newaxis]) & (items > 0)
    return Ranking(items, np.where(hits.any(1), hits.argmax(1) + 1, 0))


def new_to_user(items: Ints) -> Flags:
    """Which of a user's items, oldest first, are met for the first time; those outside the vocabulary all are."""
    _, first_at = np.unique(items, return_index=True)
    new: Flags = items == 0
    new[first_at] = True
    return new


def _foreseeable(log: Interactions, rows: Ints) -> Flags:
    """Which of a user's rows, oldest first, enter histories, are new and come after something that is known."""
    enters = log.in_history[rows] & (log.item[rows] > 0)
    after_something = np.cumsum(enters) - enters > 0
    return log.in_history[rows] & new_to_user(log.item[rows]) & after_something


def _targets_of(
    log: Interactions, rows: Ints, wanted: Flags, cut_off: EpochMs | None, history_length: int
) -> Iterator[_Target]:
    """Yields a user's targets; what they know are parts of two arrays, so memory grows with the rows alone."""
    items = log.item[rows]
    enters = log.in_history[rows] & (items > 0)
    known = cut_off is None or bool((enters & (log.timestamp[rows] < cut_off)).any())
    met_first = new_to_user(items) & (items > 0)
    history, seen = rows[enters], items[met_first]
    entered: Ints = np.cumsum(enters) - enters  # before each row, (R,)
    met: Ints = np.cumsum(met_first) - met_first  # (R,)
    for at in np.flatnonzero(wanted[rows]).tolist():
        newest = history[max(0, entered[at] - history_length) : entered[at]]
        yield _Target(int(rows[at]), newest, seen[: met[at]], known)


def _pad_left(log: Interactions, target: _Target, history_length: int) -> tuple[Ints, Floats, Floats]:
    rows, now = target.history_rows, log.timestamp[target.row]
    pad = (history_length - len(rows), 0)
    age_s = ((now - log.timestamp[rows]) / 1000).astype(np.float32)
    return np.pad(log.item[rows], pad), np.pad(log.weight[rows], pad), np.pad(age_s, pad)


def _batches(targets: Targets, size: int) -> Iterator[slice]:
    """Yields batches of so many targets, or fewer where there are very many items, so that memory stays the same."""
    size = max(1, min(size, _CELLS // (targets.items + 1)))
    start = widest = 0
    for at, seen in enumerate(targets.seen):
        widest = max(widest, len(seen))
        if at > start and (at - start == size or (at + 1 - start) * widest > _CELLS):
            yield slice(start, at)
            start, widest = at, len(seen)
    if start < len(targets):
        yield slice(start, len(targets))


def _answers(recommender: nn.Module, targets: Targets, rows: slice) -> Ints:
    """The items returned for a batch of targets. (B, K)."""
    exclude = pad_right(targets.seen[rows])
    inputs = (targets.history[rows], targets.weight[rows], targets.age_s[rows], exclude)
    items, _ = recommender(*map(torch.from_numpy, inputs))
    answered: Ints = items.numpy()
    return answered


def pad_right(rows: Sequence[Ints]) -> Ints:
    """Rows of any length side by side, 0 pads. -> (R, longest)."""
    padded = np.zeros((len(rows), max(map(len, rows), default=0)), dtype=np.int64)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return padded


def _accuracy(gain: Gains) -> Accuracy:
    if not len(gain):
        return Accuracy(0, 0.0, 0.0)
    return Accuracy(len(gain), float((gain > 0).mean()), float(gain.mean()))

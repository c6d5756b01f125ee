"""How well a recommender foresees what users really did next, through the contract that serving uses.

`evaluate` is the time split that every bundle's manifest carries; `model.manifest.PROTOCOL` says how it counts. What
it is made of serves other protocols too (`model.evaluate_splits`): rows to foresee, what is known before them, their
ranks.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from model.interactions import Flags, Floats, Interactions, Ints
from model.records import EpochMs

Gains = npt.NDArray[np.float64]
TOP = 10


@dataclass(frozen=True, slots=True)
class Targets:
    """T behaviours to foresee, each with what is known just before it.

    Attributes:
        user: (T,), whose they are.
        history: (T, L), 0 pads on the left.
        weight: (T, L).
        age_s: (T, L), seconds before the target.
        seen: for each target the items its user has met.
        target: (T,), model index; 0 is outside the vocabulary.
        known: (T,), the user has history before the cut-off.
    """

    user: Ints
    history: Ints
    weight: Floats
    age_s: Floats
    seen: tuple[Ints, ...]
    target: Ints
    known: Flags

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
    """One row to foresee, and the rows of the same user that lie before it."""

    row: int
    history_rows: Ints
    seen: Ints
    known: bool


def find_targets(log: Interactions, cut_off: EpochMs, history_length: int, *, at_most: int = 20_000) -> Targets:
    """Collects the targets of the protocol.

    Args:
        log: the whole log, in the model's vocabulary.
        cut_off: what is older was trained on.
        history_length: L.
        at_most: of more targets, so many are taken at even distances.
    """
    rows = thinned(rows_after(log, cut_off), at_most)
    return targets_at(log, rows, history_length, cut_off=cut_off)


def rows_after(log: Interactions, cut_off: EpochMs) -> Ints:
    """The rows at or after the cut-off that enter histories, are new to their user and have a history before them.

    They are grouped by user.
    """
    found = [rows[_foreseeable(log, rows) & (log.timestamp[rows] >= cut_off)] for _, rows in log.rows_by_user()]
    return np.concatenate(found) if found else np.zeros(0, dtype=np.int64)


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
    chosen = [t for _, own in log.rows_by_user() for t in _targets_of(log, own, wanted, cut_off)]
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
        items = [_answers(recommender, targets, rows) for rows in _batches(len(targets), batch_size)]
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


def _targets_of(log: Interactions, rows: Ints, wanted: Flags, cut_off: EpochMs | None) -> Iterator[_Target]:
    items = log.item[rows]
    enters = log.in_history[rows] & (items > 0)
    known = cut_off is None or bool((enters & (log.timestamp[rows] < cut_off)).any())
    for at in np.flatnonzero(wanted[rows]).tolist():
        yield _Target(int(rows[at]), rows[:at][enters[:at]], np.unique(items[:at]), known)


def _pad_left(log: Interactions, target: _Target, history_length: int) -> tuple[Ints, Floats, Floats]:
    rows, now = target.history_rows[-history_length:], log.timestamp[target.row]
    pad = (history_length - len(rows), 0)
    age_s = ((now - log.timestamp[rows]) / 1000).astype(np.float32)
    return np.pad(log.item[rows], pad), np.pad(log.weight[rows], pad), np.pad(age_s, pad)


def _batches(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


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

"""How well a recommender foresees what users really did next; `PROTOCOL` says how that is counted."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from model.interactions import Flags, Floats, Interactions, Ints
from model.records import EpochMs

Gains = npt.NDArray[np.float64]
TOP = 10
PROTOCOL = (
    "Time split. A target is a behaviour after the cut-off that enters histories and is about an item new "
    "to its user. The model sees the user's history just before it; later behaviours advance the history. "
    "All items of the vocabulary are ranked, those the user has met are masked, and a target outside the "
    "vocabulary is a miss. 'known' are users with history before the cut-off; 'everyone' adds new users, "
    "from their second behaviour on."
)


@dataclass(frozen=True, slots=True)
class Targets:
    """T behaviours to foresee, each with what is known just before it.

    Attributes:
        history: (T, L), 0 pads on the left.
        weight: (T, L).
        age_s: (T, L), seconds before the target.
        seen: for each target the items its user has met.
        target: (T,), model index; 0 is outside the vocabulary.
        known: (T,), the user has history before the cut-off.
    """

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
    found = [t for _, rows in log.rows_by_user() for t in _targets_of(log, rows, cut_off, history_length)]
    step = max(1.0, len(found) / at_most)
    chosen = [found[int(i * step)] for i in range(min(len(found), at_most))]
    columns = [_pad_left(log, t, history_length) for t in chosen]
    shape = (len(chosen), history_length)
    return Targets(
        history=np.array([c[0] for c in columns], dtype=np.int64).reshape(shape),
        weight=np.array([c[1] for c in columns], dtype=np.float32).reshape(shape),
        age_s=np.array([c[2] for c in columns], dtype=np.float32).reshape(shape),
        seen=tuple(t.seen for t in chosen),
        target=np.array([log.item[t.row] for t in chosen], dtype=np.int64),
        known=np.array([t.known for t in chosen], dtype=np.bool_),
    )


def evaluate(recommender: nn.Module, targets: Targets, *, batch_size: int = 256) -> Evaluation:
    """Ranks every target by the protocol, through the contract that serving uses."""
    recommender.eval()
    with torch.inference_mode():
        ranks = [_ranks(recommender, targets, rows) for rows in _batches(len(targets), batch_size)]
    gain = np.concatenate(ranks) if ranks else np.zeros(0)
    return Evaluation(known=_accuracy(gain[targets.known]), everyone=_accuracy(gain))


def _targets_of(log: Interactions, rows: Ints, cut_off: EpochMs, length: int) -> Iterator[_Target]:
    items, times = log.item[rows], log.timestamp[rows]
    enters = log.in_history[rows] & (items > 0)
    known = bool((enters & (times < cut_off)).any())
    _, first_at = np.unique(items, return_index=True)
    is_new = np.isin(np.arange(len(rows)), first_at) | (items == 0)
    for at in np.flatnonzero((times >= cut_off) & log.in_history[rows] & is_new).tolist():
        history = rows[:at][enters[:at]][-length:]
        if len(history):
            yield _Target(int(rows[at]), history, np.unique(items[:at]), known)


def _pad_left(log: Interactions, target: _Target, length: int) -> tuple[Ints, Floats, Floats]:
    rows, now = target.history_rows, log.timestamp[target.row]
    pad = (length - len(rows), 0)
    age_s = ((now - log.timestamp[rows]) / 1000).astype(np.float32)
    return np.pad(log.item[rows], pad), np.pad(log.weight[rows], pad), np.pad(age_s, pad)


def _batches(count: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, count, size))


def _ranks(recommender: nn.Module, targets: Targets, rows: slice) -> Gains:
    """NDCG gain of each target of a batch: 1 / log2(rank + 1), or 0 beyond the top. (B,)."""
    exclude = _pad_right(targets.seen[rows])
    inputs = (targets.history[rows], targets.weight[rows], targets.age_s[rows], exclude)
    items, _ = recommender(*map(torch.from_numpy, inputs))  # (B, K)
    wanted = torch.from_numpy(targets.target[rows]).unsqueeze(1)  # (B, 1)
    hits = (items[:, :TOP] == wanted) & (wanted > 0)
    gains = 1.0 / torch.log2(torch.arange(hits.size(1)) + 2.0)
    gain: Gains = (hits * gains).sum(1).double().numpy()
    return gain


def _pad_right(rows: tuple[Ints, ...]) -> Ints:
    padded = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    for number, row in enumerate(rows):
        padded[number, : len(row)] = row
    return padded


def _accuracy(gain: Gains) -> Accuracy:
    if not len(gain):
        return Accuracy(0, 0.0, 0.0)
    return Accuracy(len(gain), float((gain > 0).mean()), float(gain.mean()))

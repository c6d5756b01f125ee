"""The rounds of learning: their pace, and the behaviours that each trains on and is judged by. Pure: no clock."""

from dataclasses import dataclass

import numpy as np

from model.datasets.interactions import Flags, Interactions, Ints
from model.errors import RecloopError
from model.records import EpochMs


class NothingNewError(RecloopError):
    """A round without behaviours that are newer than what the served model was trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """The pace of learning.

    Attributes:
        every_ms: a round is due after so long.
        behaviors: or after so many new behaviours.
        held_out: newest behaviours that a round's candidate is judged by, and is not trained on.
        window_ms: event time of the behaviours that are trained on; what is older is forgotten.
    """

    every_ms: int
    behaviors: int
    held_out: int
    window_ms: int


@dataclass(frozen=True, slots=True)
class Round:
    """The behaviours of one round; all arrays are (N,) over the rows of its log.

    Attributes:
        cut_off: what is older may be trained on, the rest is held out.
        training: the rows of the window, older than the cut-off.
    """

    cut_off: EpochMs
    training: Flags


def is_due(new: int, elapsed_ms: int, pace: Pace) -> bool:
    """Return true if a round is due, given the behaviours and the time since the last one.

    No behaviour is held out for two decisions: a candidate that was refused cannot pass by being judged on the same
    behaviours until chance is kind. So a round always has `held_out` new ones at least.
    """
    return new >= pace.held_out and (new >= pace.behaviors or elapsed_ms >= pace.every_ms)


def round_of(log: Interactions, served_cut_off: EpochMs, pace: Pace) -> Round:
    """Split a log, in time order, into the newest behaviours, which are held out, and the window before them.

    Behaviours with one timestamp stay together, so more than `held_out` may be held out. None of them is older than
    `served_cut_off`: else the served model would be judged by what it was trained on.

    Raises:
        NothingNewError: there is nothing to train on that is newer than what the served model knows.
    """
    cut_off = int(log.timestamp[max(0, len(log) - pace.held_out)])
    training = (log.timestamp < cut_off) & (log.timestamp >= cut_off - pace.window_ms)
    if not (training & (log.timestamp >= served_cut_off)).any():
        msg = (
            f"fewer than {pace.held_out:,} behaviours and one more are newer than what the served model was trained on"
        )
        raise NothingNewError(msg)
    return Round(cut_off, training)


def tuning_rows(log: Interactions, training: Flags, since: EpochMs, length: int, seed: int) -> Flags:
    """Choose the rows of a fine-tuning: the new behaviours, the histories before them, and as many other users.

    Args:
        log: in time order.
        training: (N,), rows that may be trained on.
        since: behaviours of that time and later are new.
        length: items of a history that are read before a new behaviour.
        seed: of the draw of other users, whose newest histories keep the model from forgetting.

    Returns:
        (N,), true for the chosen rows, each in `training`.
    """
    enters = training & log.in_history & (log.item > 0)
    chosen = np.zeros(len(log), dtype=np.bool_)
    new: list[Ints] = []
    others: list[Ints] = []
    for _, rows in log.rows_by_user():
        rows = rows[enters[rows]]
        if len(rows) > 1:
            (new if log.timestamp[rows[-1]] >= since else others).append(rows)
    for rows in new:
        first = int(np.searchsorted(log.timestamp[rows], since))
        chosen[rows[max(0, first - length) :]] = True
    drawn = np.random.default_rng(seed).permutation(len(others))[: len(new)]
    for number in drawn.tolist():
        chosen[others[number][-length - 1 :]] = True
    return chosen

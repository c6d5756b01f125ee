"""The two protocols that split a log into training rows and rows to predict, with their descriptions in words.

A split is made in the log's own vocabulary, so every recommender gets the same targets, whatever items it knows.
"""

from dataclasses import dataclass

import numpy as np

from model.bundles.manifest import PROTOCOL
from model.datasets.interactions import Flags, Interactions, Ints, checked_cut_off, cut_off_at
from model.errors import RecloopError
from model.evaluation.evaluate import new_to_user, rows_after, shared, thinned
from model.records import EpochMs

AT_MOST = 20_000
"""The most targets of a time split."""
_LEAVE_ONE_OUT = (
    "Leave one out. Of each user's items, in order of time (equal times in the log's order), those count that enter "
    "histories and are met for the first time; of users with three or more the last is the test, the one before it "
    "the validation. What is older than the one to foresee is trained on and seen. All items of the vocabulary are "
    "ranked, those the user has met are masked, and a target outside the vocabulary is a miss."
)


class SplitError(RecloopError, ValueError):
    """A log that cannot be split as asked, or a split that would measure a model on its training data."""


@dataclass(frozen=True, slots=True)
class Split:
    """A log, split into rows to train on and rows to predict.

    Attributes:
        name: leave-one-out or time-split, and validation or test.
        protocol: rules by which it is counted, in words.
        log: the log to use, in its own vocabulary; a time split's validation leaves out the behaviours after the
            test's cut-off.
        training: (N,), true for the rows of `log` to train on.
        rows: rows to predict, those of a user together and in time order.
    """

    name: str
    protocol: str
    log: Interactions
    training: Flags
    rows: Ints


def leave_one_out(log: Interactions, *, validation: bool = False) -> Split:
    """Split off each user's last new item, or for validation the one before it, to predict from all older rows.

    Raises:
        SplitError: no user has three items.
    """
    training = np.ones(len(log), dtype=np.bool_)
    chosen: list[int] = []
    for _, rows in log.rows_by_user():
        new = rows[new_to_user(log.item[rows]) & log.in_history[rows]]
        if len(new) < 3:
            continue
        target = int(new[-2] if validation else new[-1])
        training[rows[rows >= target]] = False
        chosen.append(target)
    if not chosen:
        msg = "no user has three different items in the history; take more data or --protocol time-split"
        raise SplitError(msg)
    return Split(_name("leave-one-out", validation=validation), _LEAVE_ONE_OUT, log, training, np.array(chosen))


def time_split(
    log: Interactions,
    cut: float,
    cut_off: EpochMs | None = None,
    *,
    validation: bool = False,
    at_most: int = AT_MOST,
    per_user: int | None = None,
) -> Split:
    """Split a log at a cut-off: the behaviours after it are predicted from all older ones.

    Args:
        log: the log, in its own vocabulary.
        cut: share of the behaviours before the cut-off, unless `cut_off` is given.
        cut_off: epoch milliseconds.
        validation: drop the behaviours after the cut-off, and split the older ones by the share `cut`.
        at_most: limit of targets; of more, this many are taken at even distances.
        per_user: limit of one user's targets, taken likewise; None is the limit of `fair_limit`.

    Raises:
        SplitError: no user does anything new after the cut-off.
    """
    cut_off = cut_off_at(log, cut) if cut_off is None else checked_cut_off(log, cut_off)
    if validation:
        log = log.before(cut_off)
        cut_off = cut_off_at(log, cut)
    rows = rows_after(log, cut_off)
    if not len(rows):
        msg = f"no user does anything new after the cut-off {cut_off}; take a smaller --cut"
        raise SplitError(msg)
    rows = thinned(shared(log, rows, per_user), at_most)
    return Split(_name("time-split", validation=validation), PROTOCOL, log, log.timestamp < cut_off, rows)


def refuse_older(split: Split, cut_off: EpochMs, name: str) -> None:
    """Refuse a split with targets older than a finished model's cut-off: the model was trained on them.

    Raises:
        SplitError: a target is older than the model's cut-off.
    """
    older = int((split.log.timestamp[split.rows] < cut_off).sum())
    if older:
        msg = (
            f"{name} was trained on what is older than {cut_off}, and {older:,} of the {len(split.rows):,} targets "
            f"are: measure it with --protocol time-split --cut-off {cut_off} or later"
        )
        raise SplitError(msg)


def _name(protocol: str, *, validation: bool) -> str:
    return f"{protocol}, {'validation' if validation else 'test'}"

"""The check of a model's answers: no invalid score, index or shape reaches a user.

`check_answers` runs after every call of a model and costs a few percent of it, so all of it is array operations. The
module imports numpy and no torch. `model.bundles.trial` uses it to try a bundle before the bundle serves anybody.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from model.bundles.manifest import BundleError

Array = npt.NDArray[Any]
Faults = Mapping[int, "BundleAnswerError"]
"""Row -> the fault in the answer to that history; rows without a fault are absent."""


class BundleAnswerError(BundleError):
    """An answer that breaks the contract of `model.networks.recommender`: train the model again, or serve another."""


@dataclass(frozen=True, slots=True)
class Expected:
    """The bounds of a bundle's answers.

    Attributes:
        items: the vocabulary's size n; indexes are 1 to n, 0 pads.
        k: the least number of items in an answer, or n where that is less. An answer has fewer only where too few
            items are left.
    """

    items: int
    k: int = 1


def check_answers(answers: tuple[Array, ...], exclude: Array, expected: Expected) -> Faults:
    """Return the histories with unusable answers, each with its fault.

    One history's wrong answer says nothing about the others: a list must not depend on the rest of its batch.

    Args:
        answers: the model's output: items (B, K) and scores (B, K).
        exclude: items that it must not return, 0 padded. (B, E).
        expected: the bounds that the bundle promises.

    Raises:
        BundleAnswerError: no answer can be used, because their number, shape or type is wrong.
    """
    rows, least = len(exclude), min(expected.k, expected.items)
    if (
        len(answers) != 2
        or answers[0].dtype != np.int64
        or answers[1].dtype.kind != "f"
        or answers[0].shape != answers[1].shape
        or answers[0].ndim != 2
        or len(answers[0]) != rows
        or answers[0].shape[1] < least
    ):
        shapes = ", ".join(f"{each.dtype} {each.shape}" for each in answers)
        msg = (
            f"the model gave {shapes or 'nothing'} to {rows} histories instead of int64 and float32 ({rows}, {least}); "
            "train it again or serve another"
        )
        raise BundleAnswerError(msg)
    items, scores = answers
    found: dict[int, BundleAnswerError] = {}
    for is_faulty, fault in _faults(items, scores, exclude, expected):
        for row in np.flatnonzero(is_faulty).tolist():
            found.setdefault(row, BundleAnswerError(f"the model gave {fault}; train it again or serve another"))
    return found


def refuse_faults(answers: tuple[Array, ...], exclude: Array, expected: Expected) -> None:
    """Check answers as `check_answers` does, and raise the first fault that it finds.

    Raises:
        BundleAnswerError: one of them cannot be used.
    """
    for error in check_answers(answers, exclude, expected).values():
        raise error


def _faults(items: Array, scores: Array, exclude: Array, expected: Expected) -> list[tuple[Array, str]]:
    """Return (rows that have the fault, name of the fault) pairs; the first that fits a row counts. (B,) each."""
    outside = ((items < 0) | (items > expected.items)).any(1)
    given = items > 0  # (B, K)
    unfit = given & ~np.isfinite(scores)
    # A pad's score is -inf. NaN or inf came out of the model, even where a pad hides it.
    hidden = ~given & (np.isnan(scores) | (scores == np.inf))
    later = given[:, 1:]
    ordered = np.sort(items, axis=1)
    too_few = ~given.all(1)
    for row in np.flatnonzero(too_few):
        # A row has fewer than K where no more items are left.
        left = expected.items - len(np.setdiff1d(exclude[row], [0]))
        too_few[row] = given[row].sum() < min(given.shape[1], left)
    return [
        (outside, "an item index that is none of the vocabulary"),
        ((unfit | hidden).any(1), "a score that is no finite number"),
        ((later & ~given[:, :-1]).any(1), "an item behind an empty place"),
        (((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] > 0)).any(1), "an item twice in one answer"),
        ((later & (scores[:, 1:] > scores[:, :-1])).any(1), "scores that are not best first"),
        (_excluded(items, given, exclude), "an item that it had to leave out"),
        (too_few, "fewer items than there are left to recommend"),
    ]


def _excluded(items: Array, given: Array, exclude: Array) -> Array:
    """Mark the answers that hold an item their history excludes. (B, K) x 2, (B, E) -> (B,)."""
    if not exclude.any():
        return np.zeros(len(items), dtype=bool)
    # Each row's indexes are shifted into a range of their own, so that one search serves all rows.
    width = 2 + int(exclude.max())
    start = np.arange(len(items))[:, None] * width
    known = (np.sort(exclude, axis=1) + start).ravel()
    asked = np.clip(items, 0, width - 1) + start
    place = np.minimum(np.searchsorted(known, asked.ravel()), len(known) - 1)
    found: Array = ((known[place].reshape(asked.shape) == asked) & given).any(1)
    return found

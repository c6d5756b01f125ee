"""Training windows of a sequence model: of fixed length, cut from histories anew in every epoch."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from model.datasets.interactions import Ints


class WindowSource:
    """The source of each epoch's windows; equal seeds draw equal ones.

    Attributes:
        most: an epoch has fewer windows than this.
    """

    def __init__(self, sequences: list[Ints], length: int, seed: int) -> None:
        """Make a source of windows with `length` inputs from histories of two items or more."""
        self._sequences = sequences
        self._length = length
        self._random = np.random.default_rng(seed)
        self.most = sum(len(s) // length + 2 for s in sequences)

    def draw(self) -> Ints:
        """Draw the windows of the next epoch, in random order. -> (W, length + 1), as `draw_windows` has them."""
        windows = draw_windows(self._sequences, self._length, self._random)
        self._random.shuffle(windows)
        return windows

    @property
    def state(self) -> Mapping[str, Any]:
        """The random state that decides all later draws; numbers and names only."""
        return self._random.bit_generator.state

    @state.setter
    def state(self, state: Mapping[str, Any]) -> None:
        self._random.bit_generator.state = state


def _targets_in(windows: Ints) -> int:
    """Count the targets of the windows, one at each real input. windows: (W, length + 1)."""
    return int((windows[:, :-1] > 0).sum())


def own_share(windows: Ints, rank: int, size: int) -> tuple[Ints, float]:
    """Return the windows of a step that one process takes, and their share of the step's targets.

    Args:
        windows: (B, L + 1), of all processes.
        rank: of the process.
        size: number of processes.

    Returns:
        (b, L + 1) and its share; over all processes, shares add up to 1. A process that is left without a window gets
        one that counts nothing, as the others wait for its gradients.
    """
    own = windows[rank::size]
    if not len(own):
        return windows[:1], 0.0
    return own, _targets_in(own) / _targets_in(windows)


def draw_windows(sequences: list[Ints], length: int, random: np.random.Generator) -> Ints:
    """Cut every sequence into windows at a random offset, so that each item but the first is a target once.

    Returns:
        (W, length + 1): inputs and, shifted by one, targets; 0 pads on the left.
    """
    cut = []
    for sequence in sequences:
        offset = int(random.integers(length))
        first = offset if len(sequence) > length + 1 else 0
        starts = [*([0] if first else []), *range(first, len(sequence) - 1, length)]
        ends = [*starts[1:], len(sequence) - 1]
        # The last target of one window is the first input of the next.
        cut += [sequence[start : end + 1] for start, end in zip(starts, ends, strict=True)]
    windows = np.zeros((len(cut), length + 1), dtype=np.int64)
    for number, window in enumerate(cut):
        windows[number, length + 1 - len(window) :] = window
    return windows

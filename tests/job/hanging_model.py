"""A model that hangs while its gate is shut, and is popularity otherwise."""

import os
from pathlib import Path

import torch
from torch import Tensor

from model.bundles.bundle import Bundle
from model.networks.recommender import Recommender
from tests.job.faulty_model import ITEMS, write_model


class Gated(Recommender):
    """Scores fall with the model index. Each call reads one byte of a file; where that is a pipe, opening it hangs."""

    gate: str

    def __init__(self, gate: Path) -> None:
        super().__init__(len(ITEMS), 20)
        self.gate = str(gate)

    def scores(self, history: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        # The size depends on the input: else TorchScript may read the file once and for all.
        read = torch.from_file(self.gate, False, min(1, history.size(0)), dtype=torch.uint8)
        falling = torch.arange(51, 0, -1).float() + 0 * read[0]  # (n + 1,)
        return falling.expand(history.size(0), 51).clone()  # (B, n + 1)


class Gate:
    """A file in its place: the model answers. A pipe that nobody writes to: whoever calls the model hangs."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._number = 0
        self._let_go: list[int] = []
        self.path = folder / "gate"
        self.path.write_bytes(b"open")

    def shut(self) -> None:
        """Who calls from now on hangs; who hung until now fails."""
        pipe = self._next()
        os.mkfifo(pipe)
        self._put(pipe)

    def open(self) -> None:
        """Who calls from now on is answered; who hung until now fails."""
        file = self._next()
        file.write_bytes(b"open")
        self._put(file)

    def close(self) -> None:
        """Forgets those who hung."""
        for pipe in self._let_go:
            os.close(pipe)

    def _next(self) -> Path:
        self._number += 1
        return self._folder / f"next-{self._number}"

    def _put(self, new: Path) -> None:
        before = self._folder / f"before-{self._number}"
        before.hardlink_to(self.path)
        new.replace(self.path)
        if before.is_fifo():
            # With a writer there, opening it hangs nobody; who opened it finds it empty, and raises.
            self._let_go.append(os.open(before, os.O_RDWR))


def write_hanging_bundle(path: Path, gate: Gate) -> Bundle:
    return write_model(path, "hanging", Gated(gate.path))

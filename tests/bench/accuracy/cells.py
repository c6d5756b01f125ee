"""Trainings and their lists, kept in a folder by a hash of what was trained: who breaks off goes on where he was."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from model.folders import FolderKind, whole_folder
from tests.bench.accuracy.task import Ints, Options, answer, answered

_CELL = "cell.json"
_KIND = FolderKind("a finished cell", _CELL, frozenset({"cpu_s"}), ("*",))


@dataclass(frozen=True, slots=True)
class Cell:
    """One training, told completely.

    Attributes:
        dataset: fingerprint of the data.
        part: validation or test.
        name: a kind of ours, or a peer's `library.model`.
        version: of the code that trains: a peer's pins, or our defaults.
        options: settings laid over the defaults.
        checkpoints: epochs after which lists are kept.
        seed: of all that is random.
    """

    dataset: str
    part: str
    name: str
    version: str
    options: Options
    checkpoints: tuple[int, ...]
    seed: int

    @property
    def key(self) -> str:
        """Its folder's name."""
        told = json.dumps(asdict(self), sort_keys=True)
        return f"{self.name}-{self.part}-{hashlib.sha256(told.encode()).hexdigest()[:16]}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a training gave.

    Attributes:
        lists: epochs -> items in the log's own vocabulary, (T, top), best first.
        cpu_s: CPU seconds of training and answering.
    """

    lists: dict[int, Ints]
    cpu_s: float


class Store:
    """Finished cells, one folder each."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, cell: Cell) -> Outcome | None:
        """A finished cell's outcome."""
        folder = self._folder / cell.key
        if not folder.is_dir():
            return None
        return Outcome(answered(folder), float(json.loads((folder / _CELL).read_text())["cpu_s"]))

    def put(self, cell: Cell, outcome: Outcome) -> None:
        """Keeps it, whole or not at all."""
        with whole_folder(self._folder / cell.key, _KIND) as folder:
            answer(folder, outcome.lists)
            (folder / _CELL).write_text(json.dumps({**asdict(cell), "cpu_s": outcome.cpu_s}, indent=2))

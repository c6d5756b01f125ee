"""What is asked of a peer, and what it answers: a folder of files, for peers live in another environment.

Both sides read this module, so it imports nothing of ours and nothing of theirs.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Value = str | int | float | bool | None
Options = Mapping[str, Value]

QUESTION, ROWS, ANSWER = "question.json", "rows.npz", "answer.npz"


@dataclass(frozen=True, slots=True)
class Question:
    """One training.

    Attributes:
        model: which, `library.name`.
        options: its settings.
        seed: of all that is random.
        checkpoints: epochs after which lists are wanted; a model without epochs ignores them.
        top: length of a list.
    """

    model: str
    options: Options
    seed: int
    checkpoints: tuple[int, ...]
    top: int


@dataclass(frozen=True, slots=True)
class Rows:
    """N behaviours to learn from, oldest first, and T users to foresee.

    Attributes:
        user: (N,).
        item: (N,), from 1.
        timestamp: (N,), epoch milliseconds.
        asked: (T,), whom lists are for.
        now: (T,), when, epoch milliseconds; the time of what is to be foreseen.
    """

    user: Ints
    item: Ints
    timestamp: Ints
    asked: Ints
    now: Ints


def ask(folder: Path, question: Question, rows: Rows) -> None:
    """Writes the question."""
    np.savez(folder / ROWS, **asdict(rows))
    (folder / QUESTION).write_text(json.dumps(asdict(question)))


def read(folder: Path) -> tuple[Question, Rows]:
    """Reads what `ask` wrote."""
    told = json.loads((folder / QUESTION).read_text())
    with np.load(folder / ROWS) as stored:
        rows = Rows(**{name: stored[name] for name in stored.files})
    return Question(**{**told, "checkpoints": tuple(told["checkpoints"])}), rows


def answer(folder: Path, lists: Mapping[int, Ints]) -> None:
    """Writes lists, (T, top) for each checkpoint, 0 where there is nothing left; 0 is a model without epochs."""
    np.savez(folder / ANSWER, **{str(epoch): items for epoch, items in lists.items()})


def answered(folder: Path) -> dict[int, Ints]:
    """Reads what `answer` wrote."""
    with np.load(folder / ANSWER) as stored:
        return {int(epoch): stored[epoch] for epoch in stored.files}

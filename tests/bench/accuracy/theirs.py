"""The peers' side, seen from ours: starts their environment once for many questions, and hears of each answer."""

import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from model.evaluation.splits import Split
from tests.bench.accuracy.cells import Cell, Outcome
from tests.bench.accuracy.task import Question, Rows, answered, ask

PROJECT = Path(__file__).parents[3]
PEERS_PYTHON = PROJECT / ".venv-recommender-peers/bin/python"
PINS = PROJECT / "requirements/recommender-peers.in"


class PeerError(RuntimeError):
    """The peers' environment is missing, or a peer failed."""


def lists_of(cells: Sequence[Cell], split: Split, top: int) -> Iterator[tuple[Cell, Outcome]]:
    """Yields each cell with its outcome as soon as it is there.

    Raises:
        PeerError: the environment is not there, or a peer failed; its own words stand above.
    """
    if not PEERS_PYTHON.exists():
        msg = f"{PEERS_PYTHON} is not there; make it with: make bench-accuracy"
        raise PeerError(msg)
    rows = _rows(split)
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch) / str(number) for number in range(len(cells))]
        for folder, cell in zip(folders, cells, strict=True):
            folder.mkdir()
            ask(folder, Question(cell.name, cell.options, cell.seed, cell.checkpoints, top), rows)
        yield from zip(cells, _answers(folders, Path(scratch)), strict=True)


def version() -> str:
    """Tells one set of peers from another: their pins."""
    pins = (line.split("#")[0].strip() for line in PINS.read_text().splitlines())
    return " ".join(pin for pin in pins if pin)


def _answers(folders: Sequence[Path], scratch: Path) -> Iterator[Outcome]:
    """One process answers them all, and prints the CPU seconds of each."""
    command = [str(PEERS_PYTHON), "-W", "ignore", "-m", "tests.bench.accuracy.peers", *map(str, folders)]
    variables = {**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    with (scratch / "words").open("w+") as words:
        with subprocess.Popen(
            command, cwd=scratch, env=variables, text=True, stdout=subprocess.PIPE, stderr=words
        ) as process:
            try:
                told = (line.split() for line in process.stdout or ())
                seconds = (float(parts[1]) for parts in told if parts[:1] == ["answered"])
                yield from (Outcome(answered(folder), spent) for folder, spent in zip(folders, seconds, strict=False))
            finally:
                process.terminate()
        if not all((folder / "answer.npz").exists() for folder in folders):
            words.seek(0)
            msg = f"the peer gave up:\n{words.read()[-4000:]}"
            raise PeerError(msg)


def _rows(split: Split) -> Rows:
    """What ours learn from, and when each is asked."""
    histories = split.log.where(split.training).histories()
    return Rows(
        user=histories.user,
        item=histories.item,
        timestamp=histories.timestamp,
        asked=split.log.user[split.rows],
        now=split.log.timestamp[split.rows],
    )

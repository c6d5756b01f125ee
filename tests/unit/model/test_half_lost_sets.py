"""A prepared set of which a part is lost, or in which a line is damaged, is refused by whoever reads all of it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from job.offline.split import split
from model.actions import DEFAULT_ACTIONS
from model.datasets.errors import NotPreparedError
from model.datasets.generate import Synthetic, generate
from model.datasets.interactions import load_interactions
from model.datasets.prepared import Dataset

LINES = 20
DAMAGES: dict[str, Callable[[list[bytes]], list[bytes]]] = {
    "nothing left": lambda _: [],
    "cut at a line": lambda lines: lines[: LINES // 2],
    "one line lost": lambda lines: lines[1:],
    "a line twice": lambda lines: [*lines, lines[-1]],
}
READERS: dict[str, Callable[[Dataset], object]] = {
    "train": load_interactions,
    "replay": lambda dataset: list(dataset.behaviors()),
    "score": lambda dataset: split(dataset, dataset.path, DEFAULT_ACTIONS, lambda _: None),
}


def a_set(folder: Path) -> tuple[Dataset, list[bytes]]:
    dataset = generate(Synthetic(users=4, items=5, behaviors=LINES, tastes=2), folder / "set", "set")
    return dataset, dataset.behaviors_path.read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_set_of_another_length_is_refused(
    damage: Callable[[list[bytes]], list[bytes]], read: Callable[[Dataset], object], tmp_path: Path
) -> None:
    dataset, lines = a_set(tmp_path)
    read(dataset)
    left = damage(lines)
    dataset.behaviors_path.write_bytes(b"".join(left))
    with pytest.raises(NotPreparedError, match=rf"behaviors\.jsonl has {len(left)} lines, not the {LINES} .* --force"):
        read(dataset)


@pytest.mark.parametrize("bad", [b"{\n", b"[]\n", b"\xff\n", b"\n", b'{"user_id": 1}\n'])
def test_a_damaged_line_is_told_with_its_file_and_number(bad: bytes, tmp_path: Path) -> None:
    dataset, lines = a_set(tmp_path)
    dataset.behaviors_path.write_bytes(b"".join([*lines[:7], bad, *lines[8:]]))
    with pytest.raises(NotPreparedError, match=r"behaviors\.jsonl, line 8, is damaged .* --force"):
        load_interactions(dataset)

"""A damaged row of `attempts` is an error that names its file, at every reader of the lineage."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.tables import duck
from job.tables.errors import TablesError
from job.tables.lineage import read_lineage
from tests.unit.tables.rows import HOUR, behavior, commit

COLUMNS = ("log_partition", "first_offset", "generation", "epoch", "parent_epoch")
NUMBERS = st.sampled_from([-(2**64), -1, 0, 1, 2, 7, 2**31 - 1, 2**31, 2**63 - 1, 2**63, 2**64, 10**30]) | st.integers()


def attempt(**values: object) -> dict[str, object]:
    row = {"log_partition": 0, "first_offset": 0, "parent_epoch": None, "generation": 0, "written_at": 1, "epoch": 7}
    return {**row, **values}


@pytest.mark.parametrize(
    "rows",
    [
        [attempt(parent_epoch=7)],
        [attempt(parent_epoch=8), attempt(epoch=8, parent_epoch=7)],
        [attempt(log_partition=2**31)],
        [attempt(log_partition=-1)],
        [attempt(epoch=2**64)],
        [attempt(epoch=-1)],
        [attempt(first_offset=2**63)],
    ],
)
def test_a_row_that_no_attempt_wrote_names_its_file(rows: list[dict[str, object]], tmp_path: Path) -> None:
    commit(tmp_path / "user_behavior" / HOUR, "part-a-0", [behavior(0)])
    damaged = commit(tmp_path / "attempts" / HOUR, "part-a-0", rows)
    with pytest.raises(TablesError, match="restore it") as told, duck.connect(tmp_path):
        pass
    assert str(damaged) in str(told.value)


@pytest.mark.parametrize("line", [b"", b'"\xff"', b'{"x": ' + b"[" * 100_000, b"{}"])
def test_a_line_that_is_no_row_names_its_file(line: bytes, tmp_path: Path) -> None:
    damaged = commit(tmp_path / "attempts" / HOUR, "part-a-0", [])
    damaged.write_bytes(line + b"\n")
    with pytest.raises(TablesError, match="restore it"):
        read_lineage([damaged])


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(COLUMNS, NUMBERS)), max_size=4))
def test_any_numbers_are_a_lineage_or_a_sentence_never_a_hang(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, object]]
) -> None:
    path = tmp_path_factory.mktemp("attempts") / "part-a-0"
    path.write_text("".join(json.dumps(attempt(**row)) + "\n" for row in rows))
    try:
        read = read_lineage([path])
    except TablesError as error:
        told = str(error)
    else:
        told = str(path) if len(read.epoch_ends) <= 3 * len(rows) * (len(rows) + 1) else ""
    assert str(path) in told

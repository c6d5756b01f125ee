"""What the tables account for, whichever of them a checkpoint has shown so far."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.trial import accounted
from tests.unit.tables.rows import HOUR, behavior, commit, letter, made_list

pytestmark = pytest.mark.heavy
counts = st.integers(0, 4)


@settings(max_examples=15)
@given(counts, counts, counts, counts)
def test_a_behaviour_counts_once_it_is_applied_and_has_its_list(
    applied: int, lists: int, duplicates: int, letters: int
) -> None:
    offsets = iter(range(100))
    with TemporaryDirectory() as folder:
        tables = Path(folder)
        rows = {
            "user_behavior": [
                *(behavior(next(offsets)) for _ in range(applied)),
                *(behavior(next(offsets)) | {"outcome": "duplicate"} for _ in range(duplicates)),
            ],
            "recommendation_lists": [made_list(version + 1, ["a"]) for version in range(lists)],
            "dead_letters": [letter(next(offsets)) for _ in range(letters)],
        }
        for table, of_table in rows.items():
            commit(tables / table / HOUR, "part-0-0", of_table)
        assert accounted(tables) == min(applied, lists) + duplicates + letters

"""The items that the deployed job shows to nobody: a file beside the tables, for who reads lists before they are swept.

The job makes every list anew that holds one (`udfs.lists.sweep_lists`), which takes a while; readers leave the items
out at once.
"""

from collections.abc import Collection
from pathlib import Path

import msgspec

from job.tables.dialect import literal, quoted
from model.files import replace_file

FILE = ".withdrawn.json"
LATEST = "latest_recommendation_lists"


def write_withdrawn(tables_dir: Path, items: Collection[str]) -> None:
    """Put the items in their file, in one move."""
    tables_dir.mkdir(parents=True, exist_ok=True)
    replace_file(tables_dir / FILE, msgspec.json.encode(sorted(items)))


def read_withdrawn(tables_dir: Path) -> tuple[str, ...]:
    """Return the items of the file; none where there is no such file, or it says nothing."""
    try:
        return msgspec.json.decode((tables_dir / FILE).read_bytes(), type=tuple[str, ...])
    except (OSError, msgspec.DecodeError):
        return ()


def without_withdrawn(view_sql: str, items: Collection[str]) -> str:
    """Return DuckDB's statement for the view of latest lists that leaves the items out.

    Args:
        view_sql: the view as it stands, CREATE VIEW ... AS SELECT ...
        items: those to leave out.
    """
    select = view_sql.partition(" AS ")[2].rstrip("; \n")
    out = f"[{', '.join(map(literal, items))}]"
    kept = ", ".join(
        f"list_filter({quoted(column)}, lambda x, i : NOT list_contains({out}, items[i])) AS {quoted(column)}"
        for column in ("items", "scores", "reasons")
    )
    return f"CREATE OR REPLACE VIEW {quoted(LATEST)} AS SELECT * REPLACE ({kept}) FROM ({select})"

"""The withdrawn items, which the deployed job shows to nobody: a file beside the tables for readers of lists.

The job remakes every list that has a withdrawn item (`udfs.users.sweep_users`), which takes a while; readers leave the
items out at once. The two engines have no array function for this in common, so each has its own SELECT.
"""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import msgspec

from job.tables.dialect import literal, quoted
from job.tables.errors import UnreadableTableError, unreadable
from model.files import replace_file

FILE = ".withdrawn.json"
_ARRAYS = ("items", "scores", "reasons", "propensities")


def write_withdrawn(tables_dir: Path, items: Collection[str]) -> None:
    """Write the items to their file, atomically."""
    tables_dir.mkdir(parents=True, exist_ok=True)
    replace_file(tables_dir / FILE, msgspec.json.encode(sorted(items)))


def read_withdrawn(tables_dir: Path) -> tuple[str, ...]:
    """Return the items of the file; none if it is missing.

    Raises:
        UnreadableTableError: it is damaged, or cannot be read.
    """
    path = tables_dir / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[str, ...])
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, RecursionError) as error:
        msg = f"{path} is damaged ({error}), so lists might show withdrawn items: recloop deploy writes it anew"
        raise UnreadableTableError(msg) from error


def duckdb_hides(select: str, columns: Sequence[str], items: Collection[str]) -> str:
    """Return DuckDB's SELECT of the same lists without the items.

    Args:
        select: the lists, one row per user.
        columns: the columns of `select`.
        items: the withdrawn items.
    """
    out = f"[{', '.join(map(literal, items))}]"
    kept = {
        name: f"list_filter(r.{quoted(name)}, lambda x, i : NOT list_contains({out}, r.items[i]))" for name in _ARRAYS
    }
    return f"SELECT {_selected(columns, kept)} FROM ({select}) AS r"


def flink_hides(select: str, columns: Sequence[str], withdrawn: str) -> str:
    """Return Flink's SELECT of the same lists without the items.

    Flink has no function that filters an array by another. So the lists are unnested, and each user's kept items are
    aggregated in their order, which only a window preserves: its last row has all of them.

    Args:
        select: the lists, one row per user.
        columns: the columns of `select`.
        withdrawn: the name in SQL of a table of the items; its column is `item_id`.
    """
    place = quoted("position")
    values = {"items": "t.item", **{name: f"r.{quoted(name)}[t.{place}]" for name in _ARRAYS[1:]}}
    in_order = f"OVER (PARTITION BY r.user_id ORDER BY t.{place}) AS"
    gathered = ", ".join(f"ARRAY_AGG({value}) {in_order} {quoted(name)}" for name, value in values.items())
    from_last = f"ROW_NUMBER() OVER (PARTITION BY r.user_id ORDER BY t.{place} DESC) AS from_last"
    grown = (
        f"SELECT r.user_id, {gathered}, {from_last} "
        f"FROM latest AS r CROSS JOIN UNNEST(r.{quoted('items')}) WITH ORDINALITY AS t (item, {place}) "
        f"LEFT JOIN {withdrawn} AS w ON t.item = w.item_id WHERE w.item_id IS NULL"
    )
    # A list that is empty now has no row in `kept`; ARRAY[] has no type, so ARRAY_EXCEPT makes the empty array.
    kept = {name: f"COALESCE(k.{quoted(name)}, ARRAY_EXCEPT(r.{quoted(name)}, r.{quoted(name)}))" for name in _ARRAYS}
    of_none = f"r.{quoted('propensities')} IS NULL"  # of the arrays only this one may be null
    kept["propensities"] = f"CASE WHEN {of_none} THEN r.{quoted('propensities')} ELSE {kept['propensities']} END"
    return (
        f"WITH latest AS ({select}), kept AS (SELECT * FROM ({grown}) WHERE from_last = 1) "
        f"SELECT {_selected(columns, kept)} FROM latest AS r LEFT JOIN kept AS k ON r.user_id = k.user_id"
    )


def _selected(columns: Sequence[str], changed: Mapping[str, str]) -> str:
    return ", ".join(f"{changed.get(name, f'r.{quoted(name)}')} AS {quoted(name)}" for name in columns)

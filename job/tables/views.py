"""The views in SQL that both engines accept, over base tables in the schema `files`.

`files.<table>` holds the rows and the partition columns; each engine makes it in its own way.
"""

from job.tables.dialect import quoted, quoted_list
from job.tables.schema import PARTITIONS, VIEWS, View

FILES_SCHEMA = "files"
_PARTITION_NAMES = tuple(column.name for column in PARTITIONS)


def create_views() -> list[str]:
    """One CREATE VIEW a view, in an order in which each finds what it reads."""
    return [f"CREATE VIEW {quoted(view.name)} AS {_select(view)}" for view in VIEWS]


def _select(view: View) -> str:
    return _newest_rows(view) if view.rank_within else _all_rows(view)


def _all_rows(view: View) -> str:
    table = view.table
    columns = quoted_list((*table.column_names, *_PARTITION_NAMES))
    time = f"CAST(TO_TIMESTAMP_LTZ({quoted(table.time_column)}, 3) AS TIMESTAMP(3))"
    source = f"{FILES_SCHEMA}.{quoted(table.name)}"
    return f"SELECT {columns}, {time} AS {quoted(table.time_view_column)} FROM {source}"


def _newest_rows(view: View) -> str:
    order = ", ".join(f"{quoted(name)} DESC" for name in view.newest_first)
    numbered = (
        f"SELECT *, ROW_NUMBER() OVER (PARTITION BY {quoted_list(view.rank_within)} ORDER BY {order}) "
        f"AS newest_rank FROM {quoted(view.table.name + '_all')}"
    )
    columns = quoted_list(tuple(column.name for column in view.columns))
    return f"SELECT {columns} FROM ({numbered}) WHERE newest_rank = 1"

"""The views in SQL that both engines accept, over base tables in the schema `files`.

`files.<table>` holds the rows and the partition columns, `files.lineage` the line of attempts that counts
(`job.tables.lineage`); each engine creates them with its own SQL.
"""

from collections.abc import Callable, Sequence

from job.tables.dialect import quoted, quoted_list
from job.tables.lineage import EVERYWHERE, UNRECORDED, Lineage
from job.tables.schema import ATTEMPTS, DEAD_LETTERS, PARTITIONS, USER_BEHAVIOR, VIEWS, Table, View

FILES_SCHEMA = "files"
LINEAGE = "lineage"
_PARTITION_NAMES = tuple(column.name for column in PARTITIONS)
_LINEAGE = f"{FILES_SCHEMA}.{quoted(LINEAGE)}"
_Hide = Callable[[str, Sequence[str]], str]
"""A function from a SELECT of lists and its columns to the engine's SELECT of these lists without withdrawn items."""


def create_views(lineage: Lineage, hide: _Hide | None = None) -> list[str]:
    """Return a CREATE VIEW for each view, ordered so that each one's sources exist before it.

    Args:
        lineage: the attempts that count.
        hide: for the views that leave out withdrawn items; None if no item is withdrawn.
    """
    statements = []
    for view in VIEWS:
        if view.rank_within:
            select = _newest_rows(view, lineage)
        else:
            table = view.table
            columns = quoted_list((*table.column_names, *_PARTITION_NAMES))
            time = f"CAST(TO_TIMESTAMP_LTZ({quoted(table.time_column)}, 3) AS TIMESTAMP(3))"
            source = f"{FILES_SCHEMA}.{quoted(table.name)}"
            select = f"SELECT {columns}, {time} AS {quoted(table.time_view_column)} FROM {source}"
        if hide and view.hides_withdrawn:
            select = hide(select, [column.name for column in view.columns])
        statements.append(f"CREATE VIEW {quoted(view.name)} AS {select}")
    return statements


def _newest_rows(view: View, lineage: Lineage) -> str:
    order = ", ".join(f"r.{quoted(name)} DESC" for name in view.newest_first)
    within = ", ".join(f"r.{quoted(name)}" for name in view.rank_within)
    source = f"{quoted(view.table.name + '_all')} AS r {_that_count(view.table, lineage)}"
    if view.table.is_numbered:
        # Without rows whose number, or a smaller one, a later attempt has used again.
        newest = (
            'MAX(CASE WHEN r."number" IS NULL THEN NULL ELSE r.epoch END) OVER '
            '(ORDER BY r."number" RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)'
        )
        with_newest = f"SELECT r.*, {newest} AS newest_epoch FROM {source}"
        source = f'(SELECT * FROM ({with_newest}) WHERE "number" IS NULL OR epoch >= newest_epoch) AS r'
    ranked = f"SELECT r.*, ROW_NUMBER() OVER (PARTITION BY {within} ORDER BY {order}) AS newest_rank FROM {source}"
    columns = quoted_list(tuple(column.name for column in view.columns))
    return f"SELECT {columns} FROM ({ranked}) WHERE newest_rank = 1"


def _that_count(table: Table, lineage: Lineage) -> str:
    """Return a JOIN and WHERE that keep only those of the rows `r` that count."""
    if table is ATTEMPTS or not table.is_of_attempts:
        return ""
    if table.has_offsets:
        source = _derived(table, lineage) if lineage.derives else _LINEAGE
        join = f"LEFT JOIN {source} AS c ON r.log_partition = c.log_partition AND r.epoch = c.epoch"
        counts = "(c.end_offset IS NULL OR r.log_offset < c.end_offset)"
    else:
        join = f"LEFT JOIN {_LINEAGE} AS c ON c.log_partition = {EVERYWHERE} AND r.epoch = c.epoch"
        counts = "c.epoch IS NULL"
    since = "" if lineage.derives else f" AND r.epoch >= {lineage.root}"
    return f"{join} WHERE {counts}{since}"


def _derived(table: Table, lineage: Lineage) -> str:
    """Return a query of the lineage, with derived ends for epochs that have no row in `attempts`.

    Each of these ends where a higher epoch began, in any table whose rows are made from records of the log.
    """
    names = dict.fromkeys((USER_BEHAVIOR.name, DEAD_LETTERS.name, table.name))
    before = "" if lineage.root is None else f" WHERE epoch < {lineage.root}"
    made = " UNION ALL ".join(
        f"SELECT log_partition, epoch, log_offset FROM {FILES_SCHEMA}.{quoted(name)}{before}" for name in names
    )
    begun = f"SELECT log_partition, epoch, MIN(log_offset) AS first_offset FROM ({made}) GROUP BY log_partition, epoch"
    unrecorded = (
        f"SELECT b.log_partition, b.epoch, b.first_offset FROM ({begun}) AS b LEFT JOIN {_LINEAGE} AS t "
        "ON b.log_partition = t.log_partition AND b.epoch = t.epoch WHERE t.epoch IS NULL"
    )
    root = f"SELECT log_partition, {lineage.root or 0}, end_offset FROM {_LINEAGE} WHERE epoch = {UNRECORDED}"
    return (
        f"(SELECT log_partition, epoch, end_offset FROM {_LINEAGE} WHERE epoch <> {UNRECORDED} UNION ALL "
        "SELECT log_partition, epoch, MIN(first_offset) OVER (PARTITION BY log_partition ORDER BY epoch "
        "ROWS BETWEEN 1 FOLLOWING AND UNBOUNDED FOLLOWING) AS end_offset "
        f"FROM ({unrecorded} UNION ALL {root}))"
    )

"""SQL over a checkpoint's state by DuckDB: its users and lists as tables, in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import msgspec

from job.checkpoints.checkpoint import open_checkpoint
from job.checkpoints.state_rows import STATE_TABLES, StateRow, rows_of
from job.tables.columns import columns_of
from job.tables.dialect import DUCKDB_TYPES, literal, quoted
from job.tables.query import QueryStream, check_reads_only
from job.tables.statements import failed, lock_down, streamed

_LONGEST_ROW_BYTES = 64 << 20


@contextmanager
def stream(path: Path, sql: str) -> Iterator[QueryStream]:
    """Run one reading statement over the state of a checkpoint.

    Raises:
        CheckpointError: it cannot be read.
        NotAQueryError: the statement does more than read.
        QueryFailedError: DuckDB refused the statement, or failed.
        TablesError: its memory ran out.
    """
    check_reads_only(sql)
    with duckdb.connect(":memory:") as connection:
        try:
            _load(connection, path)
            lock_down(connection)
            yield streamed(connection, sql)
        except duckdb.Error as error:
            raise failed(error) from error


def _load(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Fill a table for each kind of row, by way of a file of JSON lines, which DuckDB reads faster than single rows."""
    encoder = msgspec.json.Encoder()
    with open_checkpoint(path) as checkpoint, TemporaryDirectory(prefix="recloop-checkpoint-") as folder:
        for name, rows in rows_of(checkpoint):
            file = Path(folder) / f"{name}.jsonl"
            with file.open("wb") as out:
                out.writelines(encoder.encode(row) + b"\n" for row in rows)
            connection.execute(f"CREATE TABLE {quoted(name)} AS SELECT * FROM {_lines(file, STATE_TABLES[name])}")


def _lines(file: Path, row: type[StateRow]) -> str:
    columns = ", ".join(f"{quoted(each.name)}: '{DUCKDB_TYPES[each.type]}'" for each in columns_of(row))
    return (
        f"read_json({literal(str(file))}, format='newline_delimited', "
        f"maximum_object_size={_LONGEST_ROW_BYTES}, columns={{{columns}}})"
    )

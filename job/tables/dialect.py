"""The differences between DuckDB's SQL and Flink's: type names, and the quotes around names.

SQL is written with standard double quotes here; Flink's parser needs backticks.
"""

import re

from job.tables.columns import ColumnType

DUCKDB_TYPES = {
    ColumnType.STRING: "VARCHAR",
    ColumnType.INT: "INTEGER",
    ColumnType.LONG: "BIGINT",
    ColumnType.DOUBLE: "DOUBLE",
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.STRINGS: "VARCHAR[]",
    ColumnType.DOUBLES: "DOUBLE[]",
}

FLINK_TYPES = {
    ColumnType.STRING: "STRING",
    ColumnType.INT: "INT",
    ColumnType.LONG: "BIGINT",
    ColumnType.DOUBLE: "DOUBLE",
    ColumnType.BOOLEAN: "BOOLEAN",
    ColumnType.STRINGS: "ARRAY<STRING>",
    ColumnType.DOUBLES: "ARRAY<DOUBLE>",
}

_TEXT_COMMENT_OR_NAME = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/|\"((?:[^\"]|\"\")+)\"", re.DOTALL)


def quoted(name: str) -> str:
    """Put a name in standard double quotes, so that reserved words such as timestamp stay names."""
    return '"' + name.replace('"', '""') + '"'


def quoted_list(names: tuple[str, ...]) -> str:
    """Put names in double quotes, separated by commas."""
    return ", ".join(map(quoted, names))


def literal(text: str) -> str:
    """Put a text in single quotes."""
    return "'" + text.replace("'", "''") + "'"


def for_flink(sql: str) -> str:
    """Turn "name" into `name`, leaving texts and comments as they are."""

    def backticks(match: re.Match[str]) -> str:
        name: str | None = match.group(1)
        return match.group(0) if name is None else "`" + name.replace('""', '"').replace("`", "``") + "`"

    return _TEXT_COMMENT_OR_NAME.sub(backticks, sql)

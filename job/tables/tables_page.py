"""The page of the docs that explains every column, generated from the tables' definitions."""

from job.tables.schema import TABLES, Table


def tables_page() -> str:
    """Return a Markdown section for each table, with its columns."""
    return "\n\n".join(map(_section, TABLES.values()))


def _section(table: Table) -> str:
    rows = [
        f"| `{column.name}` | {column.type.value}{' or null' if column.nullable else ''} | {column.doc} |"
        for column in table.columns
    ]
    key = ", ".join(f"`{name}`" for name in table.key)
    head = f"## {table.name}\n\n{table.doc[:1].upper()}{table.doc[1:]}; one of each {key} counts."
    return "\n".join([head, "", "| column | type | meaning |", "| --- | --- | --- |", *rows])


if __name__ == "__main__":
    print(tables_page())

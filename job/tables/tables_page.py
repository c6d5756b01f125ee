"""The page of the docs that explains every column, generated from the tables' definitions."""

from job.tables.schema import TABLES


def tables_page() -> str:
    """Return a Markdown section for each table, with its columns."""
    sections = []
    for table in TABLES.values():
        key = ", ".join(f"`{name}`" for name in table.key)
        rows = [
            f"| `{column.name}` | {column.type.value}{' or null' if column.nullable else ''} | {column.doc} |"
            for column in table.columns
        ]
        head = f"## {table.name}\n\n{table.doc[:1].upper()}{table.doc[1:]}; one of each {key} counts."
        sections.append("\n".join([head, "", "| column | type | meaning |", "| --- | --- | --- |", *rows]))
    return "\n\n".join(sections)


if __name__ == "__main__":
    print(tables_page())

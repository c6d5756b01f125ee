"""Delimited text files, plain or gzipped, read row by row with the header's names."""

import csv
import gzip
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from model.datasets.errors import SourceError

Row = dict[str, str]


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Opens a text file; `.gz` is unpacked on the way, bytes that are not UTF-8 become U+FFFD.

    Raises:
        SourceError: there is no such file.
    """
    if not path.is_file():
        msg = f"{path} is no file; say with --path where the data lies"
        raise SourceError(msg)
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as text:
        yield text


def read_rows(path: Path, columns: Collection[str], *, delimiter: str = ",") -> Iterator[Row]:
    """Yields a dict a row, keyed by the file's header; cells that a short row lacks are "".

    Raises:
        SourceError: there is no such file, or its header lacks one of `columns`.
    """
    with open_text(path) as text:
        rows = csv.reader(text, delimiter=delimiter, quoting=csv.QUOTE_NONE if delimiter == "\t" else 0)
        header = next(rows, [])
        missing = [name for name in columns if name not in header]
        if missing:
            msg = f"{path} has no column {', '.join(missing)}; is it of another format?"
            raise SourceError(msg)
        blank = dict.fromkeys(header, "")
        for cells in rows:
            yield {**blank, **dict(zip(header, cells, strict=False))}

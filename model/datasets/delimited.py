"""Delimited text as rows of cells: one row per line, and a quote that is not closed swallows no other row.

A cell that begins with a quote ends at the quote before the next delimiter or the line's end. Without one it goes on
in the next lines only if these make one row of the right width, and none of them is such a row by itself (unless it
has the other half of a quote that the line before opened); otherwise the quote is a character like any other. A row of
another width than the header is bad.
"""

import csv
import re
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from model.datasets.errors import SourceError
from model.datasets.reading import ReadReport
from model.datasets.text_files import counted, line_problem, open_lines

_QUOTE = '"'
_LONGEST_ROW_LINES = 100
"""The most lines of one row whose quoted cell goes on over several."""
_WIDTH_LINES = 50
_DELIMITERS = {"tab": "\t", "\\t": "\t", "comma": ",", "semicolon": ";", "pipe": "|", "space": " "}
"""Names of delimiters, some of which are hard to write in a shell."""
_COMMON = (",", "\t", ";", "|", "::", " ")
_JSON = (
    "behaviours in JSON lines are read by recloop data prepare jsonl, a catalogue is given as delimited text or Parquet"
)
Cells = Sequence[str]


@dataclass(frozen=True)
class Dialect:
    """The rules by which a line becomes cells.

    Attributes:
        delimiter: one or more characters between two cells.
        quotes: cells may stand in double quotes.
        encoding: of the file; None if it is UTF-8 or has a byte order mark.
    """

    delimiter: str = ","
    quotes: bool = True
    encoding: str | None = None

    def split(self, line: str) -> list[str]:
        """Return the cells of a line; a quote that is not closed stays as it is."""
        if _QUOTE not in line or not self.quotes:
            return line.split(self.delimiter)
        return self.split_whole([line]) or self._split_loosely(line)

    def split_whole(self, lines: Sequence[str]) -> list[str] | None:
        """Return the cells of one row over several lines, or None if its quotes or lines are not right.

        A delimiter of several characters gives None, too.
        """
        if len(self.delimiter) > 1:
            return None
        try:
            rows = list(csv.reader([f"{line}\n" for line in lines], delimiter=self.delimiter, strict=True))
        except csv.Error:
            return None
        return rows[0] if len(rows) == 1 else None

    def _split_loosely(self, line: str) -> list[str]:
        cells, at = [], 0
        while at <= len(line):
            quoted = self._quoted.match(line, at)
            end = quoted.end() if quoted else line.find(self.delimiter, at)
            end = len(line) if end < 0 else end
            cells.append(quoted[1].replace(_QUOTE * 2, _QUOTE) if quoted else line[at:end])
            at = end + len(self.delimiter)
        return cells

    @cached_property
    def _quoted(self) -> re.Pattern[str]:
        return re.compile(rf'"((?:[^"]|"")*+)"(?={re.escape(self.delimiter)}|$)')


def dialect_of(delimiter: str | None, encoding: str | None) -> Dialect:
    """Return the dialect that the user's options describe.

    Raises:
        SourceError: the delimiter cannot stand between two cells.
    """
    text = "," if delimiter is None else _DELIMITERS.get(delimiter, delimiter)
    if not text or _QUOTE in text or "\n" in text or "\r" in text:
        msg = f"--delimiter {delimiter!r} can't stand between two cells; give for example ';', tab or '::'"
        raise SourceError(msg)
    return Dialect(text, encoding=encoding)


def read_named(path: Path, names: Sequence[str], dialect: Dialect, report: ReadReport) -> Iterator[Cells]:
    """Yield the named cells of each row, in the order of `names`; the file's first line is the header.

    Raises:
        SourceError: there is no such file, or its header lacks one of the names or has it twice.
    """
    with open_lines(path, dialect.encoding) as lines:
        rows = _Rows(counted(lines, report), dialect, report)
        header = rows.header(path)
        twice = [name for name in dict.fromkeys(names) if header.count(name) > 1]
        if twice:
            msg = f"{path} has several columns {', '.join(twice)}; give all columns by their numbers from 1"
            raise SourceError(msg)
        missing = [name for name in names if name not in header]
        if missing:
            raise SourceError(rows.message_for_missing(missing, header, path))
        places = [header.index(name) for name in names]
        yield from ([row[place] for place in places] for row in rows.of_width(len(header)))


def read_numbered(path: Path, width: int | None, dialect: Dialect, report: ReadReport) -> Iterator[Cells]:
    """Yield all cells of each row of a file without a header.

    A row has `width` cells; if that is None, as many as most of the first rows have.
    """
    with open_lines(path, dialect.encoding) as lines:
        rows = _Rows(counted(lines, report), dialect, report)
        yield from rows.of_width(width or rows.width())


class _Rows:
    """Rows read from lines, some lines ahead where a quoted cell may go on."""

    def __init__(self, lines: Iterator[str], dialect: Dialect, report: ReadReport) -> None:
        self._lines = lines
        self._dialect = dialect
        self._report = report
        self._ahead: deque[str] = deque()
        self._first = ""

    def header(self, path: Path) -> list[str]:
        """Read the first line, and return the columns' names.

        Raises:
            SourceError: there is no line, or it is not of the encoding.
        """
        self._first = next(self._lines, "")
        problem = line_problem(self._first, self._dialect.encoding) if self._first else "the file is empty"
        if problem:
            msg = f"{path} has no line with the columns' names: {problem}"
            raise SourceError(msg)
        self._report.headers += 1
        return [cell.strip() for cell in self._dialect.split(self._first)]

    def message_for_missing(self, missing: Sequence[str], header: Sequence[str], path: Path) -> str:
        """Return the message for a file whose header lacks columns."""
        lacking = f"{path} has no column {', '.join(missing)}"
        if self._first.lstrip().startswith(("{", "[")):
            return f"{lacking}: it looks like JSON; {_JSON}"
        for delimiter in _COMMON:
            names = [cell.strip().strip(_QUOTE) for cell in self._first.split(delimiter)]
            if delimiter != self._dialect.delimiter and all(name in names for name in missing):
                return f"{lacking} between {self._dialect.delimiter!r}; it has with --delimiter {delimiter!r}"
        return f"{lacking}; is it of another format? Its columns are {', '.join(header)[:200]}"

    def width(self) -> int:
        """Return the number of cells of most of the first lines, so that one damaged line does not decide.

        The lines are read again as rows.
        """
        self._read_ahead(_WIDTH_LINES)
        good = (line for line in self._ahead if not line_problem(line, self._dialect.encoding))
        widths = Counter(len(self._dialect.split(line)) for line in good)
        return widths.most_common(1)[0][0] if widths else 0

    def of_width(self, width: int) -> Iterator[list[str]]:
        """Yield the rows of `width` cells, and count the others as bad; empty cells beyond `width` are cut off."""
        report, dialect = self._report, self._dialect
        delimiter, quotes, encoding = dialect.delimiter, dialect.quotes, dialect.encoding
        while (line := self._next()) is not None:
            report.begin(line)
            if (not line.isascii() or "\0" in line) and (problem := line_problem(line, encoding)):
                report.skip(problem)
                continue
            plain = not quotes or _QUOTE not in line
            cells = line.split(delimiter) if plain else self._quoted(line, width)
            if len(cells) > width and not any(cells[width:]):
                cells = cells[:width]
            if len(cells) == width:
                yield cells
            else:
                report.skip(f"{len(cells)} cells, not {width}")

    def _next(self) -> str | None:
        return self._ahead.popleft() if self._ahead else next(self._lines, None)

    def _quoted(self, line: str, width: int) -> list[str]:
        cells = self._dialect.split_whole([line])
        return cells or self._over_lines(line, width) or self._dialect.split(line)

    def _over_lines(self, line: str, width: int) -> list[str] | None:
        """Return the cells of the row that begins in this line and ends in a later one, or None if there is none."""
        row, is_row = [line], len(self._dialect.split(line)) == width
        while len(row) < _LONGEST_ROW_LINES and self._read_ahead(len(row)):
            after = self._ahead[len(row) - 1]
            if line_problem(after, self._dialect.encoding):
                return None
            if len(self._dialect.split(after)) == width and (is_row or after.count(_QUOTE) % 2 == 0):
                return None
            row.append(after)
            cells = self._dialect.split_whole(row)
            if cells is not None:
                return self._taken(cells, len(row) - 1) if len(cells) == width else None
        return None

    def _taken(self, cells: list[str], more_lines: int) -> list[str]:
        self._report.continued += more_lines
        for _ in range(more_lines):
            self._ahead.popleft()
        return cells

    def _read_ahead(self, lines: int) -> bool:
        while len(self._ahead) < lines:
            line = next(self._lines, None)
            if line is None:
                return False
            self._ahead.append(line)
        return True

"""The formats of a query's rows for programs: JSON, JSON lines or CSV (RFC 4180), written row by row.

Values that JSON lacks are text: NaN, Infinity and -Infinity, times (ISO 8601, UTC), decimals. In CSV a null is an empty
field, an empty text is "", and arrays are JSON.
"""

import math
import time
from collections.abc import Iterator
from enum import StrEnum

import msgspec

from job.tables.query import QueryStream, Row, single_names

_WORDS_OF_NUMBERS = {math.inf: "Infinity", -math.inf: "-Infinity"}
_MOST_BITS = 63
_QUOTED_IN_CSV = (",", '"', "\r", "\n")


class Format(StrEnum):
    """The format of rows."""

    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"
    PARQUET = "parquet"
    """Only to a file; DuckDB writes it."""


class Values:
    """An encoder of the values of rows.

    Attributes:
        not_numbers: the number of NaN and infinities written as text so far.
    """

    def __init__(self) -> None:
        self.not_numbers = 0

    def json(self, value: object) -> bytes:
        """Encode any value as JSON."""
        return msgspec.json.encode(self.plain(value), enc_hook=str)

    def csv(self, value: object) -> str:
        """Encode any value as a field of a CSV file."""
        if value is None:
            return ""
        text = value if isinstance(value, str) else self._unquoted(self.json(value).decode())
        quoted = not text or text.strip() != text or any(sign in text for sign in _QUOTED_IN_CSV)
        return '"' + text.replace('"', '""') + '"' if quoted else text

    def warnings(self) -> tuple[str, ...]:
        """Return a warning if NaN or infinities were written."""
        if not self.not_numbers:
            return ()
        return (f"{self.not_numbers:,} values are NaN or infinite: they are written as the texts NaN and Infinity",)

    def plain(self, value: object) -> object:
        """Convert a value to types that JSON has; NaN and the infinities become text, and are counted."""
        if isinstance(value, float) and not math.isfinite(value):
            self.not_numbers += 1
            return _WORDS_OF_NUMBERS.get(value, "NaN")
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            return msgspec.Raw(str(value))
        if isinstance(value, list | tuple):
            return [self.plain(each) for each in value]
        if isinstance(value, dict):
            return {str(key): self.plain(each) for key, each in value.items()}
        return value

    @staticmethod
    def _unquoted(text: str) -> str:
        return str(msgspec.json.decode(text)) if text.startswith('"') else text


def chunks(answer: QueryStream, form: Format, values: Values) -> Iterator[bytes]:
    """Return the bytes of all rows in a format for programs, UTF-8, row by row."""
    writers = {Format.JSON: _json, Format.JSONL: _jsonl, Format.CSV: _csv}
    return writers[form](answer, values)


def _records(answer: QueryStream, values: Values) -> Iterator[bytes]:
    names = single_names(answer.columns)
    return (values.json(dict(zip(names, row, strict=True))) for row in answer.rows)


def _json(answer: QueryStream, values: Values) -> Iterator[bytes]:
    started, count = time.perf_counter(), 0
    yield b'{"rows":['
    for count, record in enumerate(_records(answer, values), 1):
        yield b"," + record if count > 1 else record
    yield b'],"row_count":%d,"seconds":%s}\n' % (count, values.json(time.perf_counter() - started))


def _jsonl(answer: QueryStream, values: Values) -> Iterator[bytes]:
    return (record + b"\n" for record in _records(answer, values))


def _csv(answer: QueryStream, values: Values) -> Iterator[bytes]:
    def line(row: Row | list[str]) -> bytes:
        fields = [values.csv(value) for value in row]
        # An empty line would be no row.
        return ((",".join(fields) or '""') + "\r\n").encode()

    yield line(single_names(answer.columns))
    yield from map(line, answer.rows)

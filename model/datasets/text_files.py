"""Text files as physical lines: packed or not, in the encoding of their byte order mark or of the user's option.

No byte is guessed: a line is bad if it holds bytes that are not of the encoding or a NUL byte, or is too long.
"""

import bz2
import codecs
import gzip
import lzma
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader, RawIOBase, TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import NoReturn, cast

from model.datasets.errors import SourceError
from model.datasets.reading import ReadReport

LONGEST_LINE = 1 << 20
"""The most characters of a line; a longer one is a bad row, and its end is not kept in memory."""
_UTF_8 = "utf-8"
_UNDECODABLE = "\udcff"
_CUT_OFF = {"utf-16-le": "\udcf1", "utf-16-be": "\udcf2", "utf-32-le": "\udcf3", "utf-32-be": "\udcf4"}
"""Marks of undecodable bytes in encodings that a byte order mark names."""
_TOO_LONG = "\udcfe"
_SNIFFED_BYTES = 4096
_OPENERS: tuple[tuple[bytes, Callable[[Path], RawIOBase]], ...] = (
    (b"\x1f\x8b", lambda path: cast("RawIOBase", gzip.GzipFile(path, "rb"))),
    (b"BZh", lambda path: cast("RawIOBase", bz2.BZ2File(path, "rb"))),
    (b"\xfd7zXZ\0", lambda path: cast("RawIOBase", lzma.LZMAFile(path))),  # noqa: SIM115
    (b"", lambda path: path.open("rb", buffering=0)),
)
"""Functions that open a file by its first bytes, packed or plain."""
_OTHER_FORMATS = (
    (b"PAR1", "a Parquet file; read it with: recloop data prepare parquet --path FILE --columns user=...,item=..."),
    (b"PK\x03\x04", "a zip archive or an Excel workbook; unpack it, or save the sheet as csv"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x28\xb5\x2f\xfd", "packed by zstd; unpack it first: zstd -d FILE"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it first"),
    (b"SQLite format 3", "an SQLite database; write the table into a csv file first"),
    (b"\x89HDF", "an HDF5 file; write it as csv or Parquet first"),
)
_PACKED_AGAIN = (b"\x1f\x8b\x08", *(b"BZh%d1AY&SY" % level for level in range(1, 10)), b"\xfd7zXZ\0")
_TAR = slice(257, 262), b"ustar"
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, _UTF_8),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WITHOUT_MARK = {"utf-16": "utf-16-le", "utf-32": "utf-32-le"}
"""Codecs for files without a byte order mark, which Python's codecs of these names expect."""
_BROKEN = (EOFError, OSError, UnicodeError, zlib.error, lzma.LZMAError)


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return _CUT_OFF.get(error.encoding, _UNDECODABLE), error.end


codecs.register_error("recloop-mark", _mark)
_RECORDS_BY_CR = re.compile(r"\}[^\S\r]*\r\s*\{")
"""Two JSON objects and a CR between: no line of JSON holds that, as in an array a comma would follow the first."""


@contextmanager
def open_lines(path: Path, encoding: str | None = None, line_end: str = "") -> Iterator[Iterator[str]]:
    """Open a text file, and yield its lines without their ends.

    Args:
        path: plain, or packed by gzip, bzip2 or xz, whatever its name is.
        encoding: of a file without a byte order mark; UTF-8 if None.
        line_end: the one end of a line; if empty, CR, LF and CR LF all are.

    Raises:
        SourceError: there is no such file, it may not be read, it is empty, broken or of another format, or there is
            no such encoding; or lines that should end with LF end with CR alone.
    """
    try:
        if not path.is_file():
            _refuse(path, "is no file; give one that is there")
        with path.open("rb") as raw:
            magic = raw.read(8)
        opener = next(opener for start, opener in _OPENERS if magic.startswith(start))
        with BufferedReader(opener(path), 1 << 20) as unpacked:
            head = unpacked.peek(_SNIFFED_BYTES)[:_SNIFFED_BYTES]
            _refuse_other_formats(path, head)
            text = TextIOWrapper(unpacked, _encoding(path, head, encoding), "recloop-mark", newline=line_end)
            yield _lines(path, text)
    except _BROKEN as error:
        raise _unreadable(path, error) from error


def line_problem(line: str, encoding: str | None = None) -> str | None:
    """Return the reason why a line cannot be a row of any format, or None."""
    if "\0" in line:
        return "the line holds a NUL byte"
    if line.isascii():
        return None
    if _TOO_LONG in line:
        return f"the line has over {LONGEST_LINE:,} characters"
    if _UNDECODABLE in line:
        return (
            f"the line holds bytes that are not {encoding or _UTF_8} (--encoding says what they are: latin-1, cp1252)"
        )
    for wide, mark in _CUT_OFF.items():
        if mark in line:
            return f"the line holds bytes that are not {wide}; was the file cut off?"
    return None


def counted(lines: Iterator[str], report: ReadReport) -> Iterator[str]:
    """Yield the lines that are not blank, and count all of them."""
    for line in lines:
        report.lines += 1
        if line.strip():
            yield line
        else:
            report.blank += 1


def _refuse(path: Path, problem: str) -> NoReturn:
    msg = f"{path} {problem}"
    raise SourceError(msg)


def _refuse_other_formats(path: Path, head: bytes) -> None:
    """Refuse an unpacked file that is empty or no text, by its first bytes."""
    if not head:
        _refuse(path, "is empty; is it the right file?")
    for magic, name in _OTHER_FORMATS:
        if head.startswith(magic):
            _refuse(path, f"is {name}")
    if head.startswith(_PACKED_AGAIN):
        _refuse(path, "is packed twice; unpack it once first")
    at, magic = _TAR
    if head[at] == magic and b"\0" in head[: at.start]:
        _refuse(path, "is a tar archive; unpack it first: tar xf FILE")


def _encoding(path: Path, head: bytes, given: str | None) -> str:
    """Return the encoding of the byte order mark, else the given one, else UTF-8."""
    if given is not None:
        try:
            "".encode(given)
            codecs.getincrementaldecoder(given)("recloop-mark").decode(b"x", final=True)
        except (LookupError, UnicodeError, ValueError):
            msg = f"there is no encoding {given!r}; --encoding takes for example utf-8, latin-1, cp1252, utf-16-le"
            raise SourceError(msg) from None
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    if given is None and head.count(0) * 3 > len(head):
        wide = "utf-16-le" if head[1::2].count(0) > head[::2].count(0) else "utf-16-be"
        _refuse(path, f"looks like UTF-16 without a byte order mark; if it is, say so: --encoding {wide}")
    return _WITHOUT_MARK.get(codecs.lookup(given).name, given) if given else _UTF_8


def _lines(path: Path, text: TextIOWrapper) -> Iterator[str]:
    try:
        begin = text.readline(LONGEST_LINE)
        if _RECORDS_BY_CR.search(begin):
            _refuse(path, f"ends its lines with CR alone; end them with LF: tr '\\r' '\\n' < {path.name} > lines.jsonl")
        first = _whole_line(begin, text).removeprefix("\ufeff")
        for line in chain([first] if first else [], iter(lambda: _whole_line(text.readline(LONGEST_LINE), text), "")):
            yield line.rstrip("\r\n")
    except _BROKEN as error:
        raise _unreadable(path, error) from error


def _whole_line(line: str, text: TextIOWrapper) -> str:
    """Return the line that was begun with its end; of one that is too long, the beginning with a mark."""
    if len(line) < LONGEST_LINE or line.endswith(("\n", "\r")):
        return line
    while (rest := text.readline(LONGEST_LINE)) and not rest.endswith(("\n", "\r")):
        pass
    return line[:200] + _TOO_LONG + "\n"


def _unreadable(path: Path, error: Exception) -> SourceError:
    if isinstance(error, PermissionError):
        return SourceError(f"{path} may not be read by you; change its permissions")
    return SourceError(f"{path} is broken or was cut off ({error}); fetch or pack it again")

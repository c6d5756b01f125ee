"""Any table in any layout is read back equal, and a damaged byte costs its own rows, counted, and no other."""

import bz2
import csv
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.datasets.action_map import ActionMap, identity_map
from model.datasets.errors import SourceError
from model.datasets.reading import Format, ReadReport
from model.datasets.tables import TableReader
from model.records import UserBehavior

START_MS = 1_700_000_000_000
HEADER = ("who", "note", "what", "which", "when")
NAMED = {"user": "who", "item": "which", "action": "what", "time": "when"}
NUMBERED = {"user": "1", "item": "4", "action": "3", "time": "5"}

# Letters of one byte in Latin-1 and of up to four elsewhere, all delimiters and both quotes, line ends within a cell.
latin = st.text(st.characters(codec="latin-1", exclude_categories=("Cc", "Zs")), min_size=1, max_size=6)
wide = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), min_size=1, max_size=6)
notes = st.text(st.sampled_from(list("ab ,;|:\t\"'é")), max_size=8)
times = st.integers(10**11, 10**12 * 2)


def rows_of(ids: st.SearchStrategy[str]) -> st.SearchStrategy[list[tuple[str, str, str, str, int]]]:
    """Rows of (user, note, action, item, time)."""
    kept = ids.map(lambda text: f"i{text}")
    row = st.tuples(kept, notes, st.sampled_from(["click", "buy"]), kept, times)
    return st.lists(row, min_size=1, max_size=12)


@dataclass(frozen=True)
class Layout:
    """One way to write a table."""

    delimiter: str
    encoding: str
    mark: bool
    header: bool
    ends: str
    pack: Callable[[bytes], bytes]
    all_quoted: bool

    def bytes_of(self, rows: list[tuple[str, str, str, str, int]]) -> bytes:
        """The file."""
        text = io.StringIO()
        table: list[tuple[object, ...]] = [HEADER, *rows] if self.header else [*rows]
        if len(self.delimiter) == 1:
            quoting: Literal[0, 1] = csv.QUOTE_ALL if self.all_quoted else csv.QUOTE_MINIMAL
            csv.writer(text, delimiter=self.delimiter, quoting=quoting, lineterminator=self.ends).writerows(table)
        else:
            text.write("".join(self.delimiter.join(map(str, row)) + self.ends for row in table))
        content = text.getvalue()
        return self.pack((f"\ufeff{content}" if self.mark else content).encode(self.encoding))

    def form(self) -> Format:
        """What a user says of it."""
        said = None if self.mark or self.encoding == "utf-8" else self.encoding
        return Format(columns=NAMED if self.header else NUMBERED, delimiter=self.delimiter, encoding=said)


ENCODINGS = [("utf-8", False), ("utf-8", True), ("utf-16-le", True), ("utf-16-be", True), ("utf-16-le", False)]
layouts = st.builds(
    lambda delimiter, encoding, header, ends, pack, all_quoted: Layout(
        delimiter, encoding[0], encoding[1], header, ends, pack, all_quoted
    ),
    st.sampled_from([",", ";", "\t", "|", "::", " "]),
    st.sampled_from([*ENCODINGS, ("latin-1", False)]),
    st.booleans(),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([bytes, gzip.compress, bz2.compress, lzma.compress]),
    st.booleans(),
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[Layout, list[tuple[str, str, str, str, int]]]:
    layout = draw(layouts)
    rows = draw(rows_of(latin if layout.encoding == "latin-1" else wide))
    if len(layout.delimiter) > 1:  # without quotes no cell can hold the delimiter
        rows = [(u.replace(":", ";"), "n", a, i.replace(":", ";"), t) for u, _, a, i, t in rows]
        rows = [(u.replace('"', "'"), n, a, i.replace('"', "'"), t) for u, n, a, i, t in rows]
    return layout, rows


def read(content: bytes, form: Format, actions: ActionMap | None = None) -> tuple[list[UserBehavior], ReadReport]:
    report = ReadReport()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "table"
        path.write_bytes(content)
        reader = TableReader(path, actions or identity_map(), form)
        return list(reader.behaviors(report)), report


def assert_all_counted(behaviors: list[UserBehavior], report: ReadReport) -> None:
    assert report.rows == len(behaviors) + report.skipped.total()
    assert report.lines == report.headers + report.blank + report.continued + report.rows


@pytest.mark.heavy
@settings(max_examples=60, deadline=None)
@given(tables())
def test_a_table_is_read_back_equal_in_every_layout(
    drawn: tuple[Layout, list[tuple[str, str, str, str, int]]],
) -> None:
    layout, rows = drawn
    behaviors, report = read(layout.bytes_of(rows), layout.form())
    assert behaviors == [UserBehavior(user, action, item, time) for user, _, action, item, time in rows]
    assert report.lines == len(rows) + layout.header
    assert_all_counted(behaviors, report)


def numbered_rows(count: int) -> list[tuple[str, str, str, str, int]]:
    return [(f"u{n % 3}", 'say "a, b"', "click", f"i{n}", START_MS + n) for n in range(count)]


plain_layouts = st.sampled_from(
    [
        Layout(delimiter, encoding, mark, header, ends, bytes, all_quoted)
        for delimiter in (",", ";", "\t", "|")
        for encoding, mark in ENCODINGS[:3]
        for header in (True, False)
        for ends in ("\n", "\r\n")
        for all_quoted in (True, False)
    ]
)


@settings(max_examples=150, deadline=None)
@given(plain_layouts, st.integers(0, 10**6), st.integers(0, 255))
def test_a_damaged_byte_costs_no_more_than_its_rows_and_all_are_counted(layout: Layout, at: int, byte: int) -> None:
    rows = numbered_rows(20)
    content = bytearray(layout.bytes_of(rows))
    content[at % len(content)] = byte
    try:
        behaviors, report = read(bytes(content), layout.form())
    except SourceError:  # the header or the byte order mark
        return
    whole = {UserBehavior(user, action, item, time) for user, _, action, item, time in rows}
    assert len(whole & set(behaviors)) >= len(rows) - 2
    assert_all_counted(behaviors, report)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 255), st.sampled_from([gzip.compress, bz2.compress, lzma.compress]))
def test_a_damaged_packed_file_is_refused_or_whole(at: int, byte: int, pack: Callable[[bytes], bytes]) -> None:
    layout = Layout(",", "utf-8", False, True, "\n", pack, False)
    content = bytearray(layout.bytes_of(numbered_rows(50)))
    content[at % len(content)] = byte
    try:
        behaviors, _ = read(bytes(content), layout.form())
    except SourceError:
        return
    assert [b.timestamp for b in behaviors] == [START_MS + n for n in range(50)]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 19), st.integers(0, 4), st.integers(0, 3))
def test_a_quote_that_is_not_closed_swallows_no_row(row: int, cell: int, before: int) -> None:
    lines = [["u1", "note", "click", f"i{n}", str(START_MS + n)] for n in range(20)]
    lines[row][cell] = lines[row][cell][:before] + '"' + lines[row][cell][before:]
    content = "\n".join([",".join(HEADER), *map(",".join, lines)]).encode()
    behaviors, report = read(content, Format(columns=NAMED))
    assert len(behaviors) >= 19
    assert_all_counted(behaviors, report)


def test_a_quoted_cell_may_go_on_in_the_next_lines() -> None:
    content = 'who,note,what,which,when\nu,"one, two\n\nand three\n",click,i,1700000000\nv,,click,j,1700000001\n'
    behaviors, report = read(content.encode(), Format(columns=NAMED))
    assert [b.user_id for b in behaviors] == ["u", "v"]
    assert (report.lines, report.continued, report.blank) == (6, 2, 1)
    assert_all_counted(behaviors, report)


def test_the_same_inch_sign_in_two_rows_makes_no_row_of_them() -> None:
    lines = [f'u,"12 inch,click,i{n},1700000000' if n % 7 == 3 else f"u,n,click,i{n},1700000000" for n in range(20)]
    lines[13] = 'u,12 inch",click,i13,1700000000'
    behaviors, report = read("\n".join([",".join(HEADER), *lines]).encode(), Format(columns=NAMED))
    assert len(behaviors) == 20
    assert report.continued == 0


def test_a_first_cell_may_go_on_in_the_next_line() -> None:
    """Whose rest is a row of the right width by itself, but for half a quote."""
    content = 'who,note,what,which,when\n"u\n1",a,click,i,1700000000\nv,,click,j,1700000001\n'
    behaviors, report = read(content.encode(), Format(columns=NAMED))
    assert [b.user_id for b in behaviors] == ["u\n1", "v"]
    assert report.continued == 1
    assert_all_counted(behaviors, report)


def test_two_rows_with_half_a_quote_each_stay_two_rows() -> None:
    content = 'who,note,what,which,when\nu,"12 inch,click,i,1700000000\nv,12 inch",click,j,1700000001\n'
    behaviors, _ = read(content.encode(), Format(columns=NAMED))
    assert [b.user_id for b in behaviors] == ["u", "v"]


def test_latin_1_bytes_merge_no_users() -> None:
    content = "who,note,what,which,when\nJosé,,click,i,1700000000\nJosè,,click,i,1700000000\nu,,click,i,1700000000\n"
    behaviors, report = read(content.encode("latin-1"), Format(columns=NAMED))
    assert [b.user_id for b in behaviors] == ["u"]
    assert sum(count for reason, count in report.skipped.items() if "--encoding" in reason) == 2
    behaviors, _ = read(content.encode("latin-1"), Format(columns=NAMED, encoding="latin-1"))
    assert [b.user_id for b in behaviors] == ["José", "Josè", "u"]


def test_a_nul_byte_and_a_line_without_end_are_counted() -> None:
    lines = [
        b"who,note,what,which,when",
        b"u,,click,i\0,1700000000",
        b"u,," + b"x" * (3 << 20),
        b"u,,click,i,1700000000",
    ]
    behaviors, report = read(b"\n".join(lines), Format(columns=NAMED))
    assert len(behaviors) == 1
    assert_all_counted(behaviors, report)
    assert max(map(len, report.examples.values())) <= 201


def test_ids_with_a_point_and_zeros_are_the_whole_number() -> None:
    content = (
        b"who,note,what,which,when\n12.0,,click,7,1700000000\n12,,click,7.00,1700000000\n12.5,,click,v7.0,1700000000\n"
    )
    behaviors, report = read(content, Format(columns=NAMED))
    assert [(b.user_id, b.item_id) for b in behaviors] == [("12", "7"), ("12", "7"), ("12.5", "v7.0")]
    assert report.whole_ids == 2


def test_a_header_above_numbered_columns_is_no_row() -> None:
    behaviors, report = read(b"a,b,c,d,e\nu,,click,i,1700000000\n", Format(columns=NUMBERED))
    assert len(behaviors) == 1
    assert (report.headers, report.rows) == (1, 1)
    assert_all_counted(behaviors, report)


REFUSED = [
    (b"", Format(columns=NAMED), "is empty"),
    (b"PK\x03\x04rest", Format(columns=NAMED), "zip archive"),
    (b"PAR1rest", Format(columns=NAMED), "prepare parquet"),
    (gzip.compress(b"x" * 5000)[:-9], Format(columns=NAMED), "cut off"),
    (gzip.compress(b"PAR1"), Format(columns=NAMED), "prepare parquet"),
    (b"who;note;what;which;when\n", Format(columns=NAMED), "--delimiter ';'"),
    (b"who::what::which::when\n", Format(columns=NAMED), "--delimiter '::'"),
    (b'{"who": 1}\n', Format(columns=NAMED), "JSON"),
    (b"a,b\n", Format(columns=NAMED), "Its columns are a, b"),
    (b"a,b\n", Format(columns=NUMBERED), "no column 5"),
    ("who,what,which,when\nu,click,i,1".encode("utf-16-le"), Format(columns=NAMED), "--encoding utf-16-le"),
    ("who,what,which,when\nu,click,i,1".encode("utf-16-be"), Format(columns=NAMED), "--encoding utf-16-be"),
    (b"who", Format(columns=NAMED, encoding="klingon"), "klingon"),
    (b"who", Format(columns=NAMED, encoding="hex"), "hex"),
    (b"who,what", Format(columns=NAMED, encoding="utf-16"), "no line with the columns' names|no column"),
    (b"who,what", Format(columns=NAMED, encoding="undefined"), "undefined"),
    (b"who", Format(columns=NAMED, delimiter=""), "--delimiter"),
    (b"who", Format(columns=NAMED, encoding="punycode"), "no encoding 'punycode'"),
    (b"who", Format(columns=NAMED, encoding="idna"), "no encoding 'idna'"),
    (b"who,what,which,when,who\n", Format(columns=NAMED), "several columns who"),
]


@pytest.mark.parametrize(("content", "form", "message"), REFUSED, ids=range(len(REFUSED)))
def test_what_cannot_be_read_is_named_with_what_to_do(content: bytes, form: Format, message: str) -> None:
    with pytest.raises(SourceError, match=message.replace("(", "\\(")):
        read(content, form)


def test_a_table_without_actions_needs_a_rule_for_every_row() -> None:
    columns = {part: column for part, column in NAMED.items() if part != "action"}
    with pytest.raises(SourceError, match="--actions all="):
        read(b"", Format(columns=columns))
    content = b"who,which,when\nu,i,1700000000\n"
    behaviors, _ = read(content, Format(columns=columns), ActionMap({}, "buy"))
    assert behaviors == [UserBehavior("u", "buy", "i", START_MS)]


def in_a_tar(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        member = tarfile.TarInfo("table.csv")
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


PACKERS: list[Callable[[bytes], bytes]] = [gzip.compress, bz2.compress, lzma.compress]
FIRST = b"who,what,which,when\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        *((pack(again(FIRST * 99)), "packed twice") for pack in PACKERS for again in PACKERS),
        *((pack(in_a_tar(FIRST)), "tar archive") for pack in (bytes, *PACKERS)),
        (gzip.compress(b"PAR1\x15\0\x15"), "a Parquet file"),
        (gzip.compress(b""), "empty"),
    ],
)
def test_what_is_inside_a_packed_file_is_told(content: bytes, told: str) -> None:
    with pytest.raises(SourceError, match=told):
        read(content, Format(columns=NAMED))


@pytest.mark.parametrize("start", ["BZhid", "PK", "ustar", "7z"])
@pytest.mark.parametrize("pack", PACKERS)
def test_text_that_begins_like_a_format_is_text(start: str, pack: Callable[[bytes], bytes]) -> None:
    columns = {"user": start, "item": "which", "action": "what", "time": "when"}
    content = f"{start},which,what,when,{'x' * 300}ustar\nu,i,click,{START_MS},\n".encode()
    assert len(read(pack(content), Format(columns=columns))[0]) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le"])
def test_half_a_character_is_told_with_the_files_encoding(encoding: str) -> None:
    content = f"\ufeffwho,note,what,which,when\nu,n,click,i,{START_MS}\nu,n,click,i,é".encode(encoding)
    _, report = read(content[:-1], Format(columns=NAMED))
    assert [f"bytes that are not {encoding}" in reason for reason in report.skipped] == [True]

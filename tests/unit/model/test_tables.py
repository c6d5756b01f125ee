"""Tables that a user describes: Parquet with its types, a catalogue beside any source, and which column is what."""

from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.datasets.columns import BEHAVIOR_PARTS, ITEM, TIME, USER, parse_columns
from model.datasets.errors import SourceError
from model.datasets.reading import Format, Item, ReadReport
from model.datasets.tables import read_items
from model.records import UserBehavior
from tests.unit.model.test_readers import read

pytestmark = pytest.mark.heavy
PARQUET_TIMES = [
    "TIMESTAMP '2023-11-14 22:13:20'",
    "TIMESTAMPTZ '2023-11-15 03:43:20+05:30'",
    "TIMESTAMP_NS '2023-11-14 22:13:20'",
    "TIMESTAMP_S '2023-11-14 22:13:20'",
    "1700000000",
    "1700000000000",
    "1700000000.0::DOUBLE",
    "'2023-11-14T22:13:20Z'",
]


def parquet(path: Path, select: str) -> Path:
    with duckdb.connect() as connection:
        connection.execute(f"COPY ({select}) TO '{path}' (FORMAT parquet)")
    return path


@pytest.mark.parametrize("time", PARQUET_TIMES)
def test_parquet_is_read_with_its_types(time: str, tmp_path: Path) -> None:
    select = f"SELECT 12.0::DOUBLE AS user_id, 7 AS item_id, 'click' AS action, {time} AS timestamp"
    behaviors, report, _ = read("parquet", parquet(tmp_path / "a b[1]*.parquet", select))
    assert behaviors == [UserBehavior("12", "click", "7", 1_700_000_000_000)]
    assert (report.rows, report.lines) == (1, 1)


def test_parquet_counts_rows_without_a_value_and_reads_folders(tmp_path: Path) -> None:
    rows = "VALUES ('u', 'i', 'click', 1700000000), (NULL, 'i', 'click', 1700000000), ('u', 'i', NULL, 1700000000)"
    select = f"SELECT * FROM ({rows}) AS t(user_id, item_id, action, timestamp)"
    for part in ("a", "b"):
        parquet(tmp_path / f"{part}.parquet", select)
    behaviors, report, _ = read("parquet", tmp_path)
    assert (len(behaviors), report.rows, report.skipped.total()) == (2, 6, 4)


def test_a_column_in_the_file_wins_over_a_folders_name(tmp_path: Path) -> None:
    folder = tmp_path / "item_id=7" / "action=cl%69ck"
    folder.mkdir(parents=True)
    select = "SELECT 'u' AS user_id, range AS item_id, 1700000000 AS timestamp FROM range(3)"
    file = parquet(folder / "x.parquet", select)
    for path in (tmp_path, file):
        behaviors, _, _ = read("parquet", path)
        assert [(behavior.item_id, behavior.action) for behavior in behaviors] == [(f"{n}", "click") for n in range(3)]


@pytest.mark.parametrize(
    "aside", ["_temporary/0/part-0.parquet", ".hidden/x.parquet", "a/_x.parquet", "a/.x.parquet", "folder.parquet/_x"]
)
def test_files_that_are_not_finished_are_no_data(aside: str, tmp_path: Path) -> None:
    select = "SELECT 'u' AS user_id, 'i' AS item_id, 'click' AS action, 1700000000 AS timestamp"
    root = tmp_path / "_mine"
    (root / aside).parent.mkdir(parents=True)
    parquet(root / aside, select)
    with pytest.raises(SourceError, match="begin with _"):
        read("parquet", root)
    parquet(root / "whole.parquet", select)
    assert read("parquet", root)[1].rows == 1


NO_ID = "is no text and no whole number"
IDS = [
    ("'a'::BLOB", NO_ID),
    ("true", NO_ID),
    ("[1]", NO_ID),
    ("{'a': 1}", NO_ID),
    ("0.5::DOUBLE", NO_ID),
    ("'inf'::DOUBLE", NO_ID),
    ("1e18::DOUBLE", "is a decimal number beyond 2^53"),
    ("'nan'::DOUBLE", "is empty"),
    ("NULL", "is empty"),
    ("' '", "is empty"),
    ("repeat('x', 257)", "has more than 256 bytes"),
]


@pytest.mark.parametrize(("value", "reason"), IDS)
@pytest.mark.parametrize("column", ["user_id", "item_id"])
def test_ids_that_cannot_be_used_are_told_as_they_are(column: str, value: str, reason: str, tmp_path: Path) -> None:
    cells = {"user_id": "'u'", "item_id": "'i'", "action": "'click'", "timestamp": "1700000000"} | {column: value}
    select = "SELECT " + ", ".join(f"{cell} AS {name}" for name, cell in cells.items())
    path = parquet(tmp_path / "x.parquet", select)
    _, report, _ = read("parquet", path)
    assert [(told.startswith(f"{column} {reason}"), rows) for told, rows in report.skipped.items()] == [(True, 1)]
    assert report.whole_ids == 0
    if column == "item_id":
        catalogue = ReadReport()
        assert read_items(path, Format(columns={"item": "item_id"}), catalogue) == {}
        assert catalogue.skipped == report.skipped


@pytest.mark.parametrize("zone", [None, "UTC", "Asia/Kolkata"])
@pytest.mark.parametrize("rows", [5, 30_000])
def test_times_beyond_all_years_are_counted_rows(rows: int, zone: str | None, tmp_path: Path) -> None:
    at = [1_700_000_000_000 + row for row in range(rows)]
    at[-4:-1] = [2**62, -(2**62), 2**63 - 1]
    times = pa.array(at, type=pa.int64()).cast(pa.timestamp("ms", zone))
    items = [f"i{row}" for row in range(rows)]
    table = pa.table({"user_id": ["u"] * rows, "action": ["click"] * rows, "item_id": items, "timestamp": times})
    pq.write_table(table, tmp_path / "x.parquet")
    behaviors, report, _ = read("parquet", tmp_path / "x.parquet")
    good = [row for row in range(rows) if not rows - 4 <= row < rows - 1]
    assert [(b.item_id, b.timestamp) for b in behaviors] == [(items[row], at[row]) for row in good]
    assert (report.rows, report.lines) == (rows, rows)
    assert report.skipped == {"timestamp after the year 9999": 2, "timestamp before 1970": 1}


TIMES_OF_THE_YEARS = [
    ("TIMESTAMP 'infinity'", "timestamp after the year 9999"),
    ("TIMESTAMP '10000-01-01'", "timestamp after the year 9999"),
    ("TIMESTAMP_NS '1969-12-31'", "timestamp before 1970"),
    ("TIMESTAMP '0044-03-15'", "timestamp before 1970"),
    ("TIMESTAMP '0044-03-15 (BC)'", "timestamp before 1970"),
    ("TIMESTAMP '-infinity'", "timestamp before 1970"),
    ("DATE '5877642-06-25 (BC)'", "timestamp before 1970"),
    ("DATE '5881580-07-10'", "timestamp after the year 9999"),
]


@pytest.mark.parametrize(("time", "reason"), TIMES_OF_THE_YEARS)
def test_a_typed_time_of_no_year_that_is_read_is_counted_as_such(time: str, reason: str, tmp_path: Path) -> None:
    select = f"SELECT 'u' AS user_id, 'i' AS item_id, 'click' AS action, {time} AS timestamp"
    assert read("parquet", parquet(tmp_path / "x.parquet", select))[1].skipped == {reason: 1}


TYPES_OF_TIMES = ["1700000000", "'2023-11-14T22:13:20Z'", "'1700000000'", "TIMESTAMP '2023-11-14 22:13:20'"]


@pytest.mark.parametrize("times", [TYPES_OF_TIMES, TYPES_OF_TIMES[::-1]])
def test_a_column_of_several_types_is_read_as_it_is_in_each_file(times: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "action=click"
    folder.mkdir()
    for number, time in enumerate(times):
        parquet(folder / f"{number}.parquet", f"SELECT 'u' AS user_id, {number} AS item_id, {time} AS timestamp")
    behaviors, report, _ = read("parquet", tmp_path)
    assert behaviors == [UserBehavior("u", "click", f"{number}", 1_700_000_000_000) for number in range(4)]
    assert report.rows == 4


def read_by_arrow(path: Path, rows: int, **unused: pa.Array) -> Path:
    """Write a file whose first time is beyond DuckDB's types."""
    times = pa.array([2**62, *(1_700_000_000_000 + row for row in range(rows - 1))], type=pa.timestamp("ms"))
    texts = {"user_id": "u", "item_id": "i", "action": "click"}
    columns = {name: pa.array([f"{text}{row}" for row in range(rows)]) for name, text in texts.items()}
    columns["action"] = pa.array(["click"] * rows)
    table = pa.table({**columns, "timestamp": times, **unused})
    pq.write_table(table, path, row_group_size=10_000, compression="snappy", use_dictionary=False)
    return path


def test_a_page_that_is_damaged_behind_such_a_value_is_refused(tmp_path: Path) -> None:
    path = read_by_arrow(tmp_path / "x.parquet", 50_000)
    page = pq.ParquetFile(path).metadata.row_group(4).column(0).data_page_offset
    with path.open("r+b") as file:
        file.seek(page + 40)
        file.write(b"\xff" * 2000)
    with pytest.raises(SourceError, match=r"x\.parquet can't be read as Parquet \(.*cut off\?$"):
        read("parquet", path)


def test_a_column_that_nobody_asked_for_is_not_read(tmp_path: Path) -> None:
    path = read_by_arrow(tmp_path / "x.parquet", 2, wide=pa.array([None, 2], type=pa.decimal256(60)))
    assert len(read("parquet", path)[0]) == 1


def test_the_case_of_columns_names_does_not_count_in_later_files(tmp_path: Path) -> None:
    read_by_arrow(tmp_path / "a.parquet", 2)
    select = "SELECT 'u' AS User_Id, 'i' AS item_id, 'click' AS ACTION, 1700000000 AS Timestamp"
    parquet(tmp_path / "b.parquet", select)
    assert len(read("parquet", tmp_path)[0]) == 2


def test_a_column_that_a_file_has_twice_is_read(tmp_path: Path) -> None:
    table = pq.read_table(read_by_arrow(tmp_path / "x.parquet", 2))
    pq.write_table(table.append_column("item_id", table["item_id"]), tmp_path / "x.parquet")
    assert len(read("parquet", tmp_path / "x.parquet")[0]) == 1


def test_a_column_that_a_later_file_lacks_is_refused(tmp_path: Path) -> None:
    (tmp_path / "action=buy").mkdir()
    read_by_arrow(tmp_path / "a.parquet", 2)
    select = "SELECT 'u' AS user_id, 'i' AS item_id, 1700000000 AS timestamp"
    parquet(tmp_path / "action=buy" / "b.parquet", select)
    with pytest.raises(SourceError, match="can't be read as Parquet"):
        read("parquet", tmp_path)


def test_a_broken_parquet_file_is_refused(tmp_path: Path) -> None:
    path = parquet(tmp_path / "x.parquet", "SELECT range AS user_id FROM range(100000)")
    with pytest.raises(SourceError, match="no column item_id"):
        read("parquet", path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SourceError, match="cut off"):
        read("parquet", path)
    with pytest.raises(SourceError, match=r"/absent (is no .*give one|has no .*say with --path)"):
        read("parquet", tmp_path / "absent")


@pytest.mark.parametrize("columns", [{"item": "item_id"}, {"item": "item_id", "title": "title"}])
def test_a_catalogue_of_any_columns_is_read(columns: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("title,item_id\nTea,i1\nCake,i22\n")
    assert read_items(path, Format(columns=columns), ReadReport()).keys() == {"i1", "i22"}


def test_a_catalogue_is_told_from_its_content(tmp_path: Path) -> None:
    path = parquet(tmp_path / "items", "SELECT 12 AS item_id, 'Tea' AS title, 'Drinks' AS \"group\"")
    assert read_items(path, Format(), ReadReport()).keys() == {"12"}
    path.write_text('{"item_id": "12"}\n')
    with pytest.raises(SourceError, match=r"looks like JSON.* catalogue .*delimited text or Parquet"):
        read_items(path, Format(), ReadReport())


def test_a_catalogue_beside_any_source(tmp_path: Path) -> None:
    path = tmp_path / "items.csv"
    path.write_text("sku,name,shelf\n12.0,Tea,Drinks\n13,,\n12,Again,\n,Nameless,\n")
    columns = {"item": "sku", "title": "name", "group": "shelf"}
    report = ReadReport()
    items = read_items(path, Format(columns=columns), report)
    assert items == {"12": Item("12", "Tea", "Drinks"), "13": Item("13", "13", "")}
    assert (report.rows, report.skipped.total(), report.intended) == (4, 2, 1)
    select = "SELECT 12 AS item_id, 'Tea' AS title, 'Drinks' AS \"group\""
    assert read_items(parquet(tmp_path / "items.parquet", select), Format(), ReadReport()).keys() == {"12"}


@pytest.mark.parametrize(
    "text", ["user", "user=", "=a", "user=a", "user=a,user=b,item=c,time=d", "user=a,item=2,time=c", "who=a"]
)
def test_wrong_columns_are_refused(text: str) -> None:
    with pytest.raises(SourceError, match="--columns"):
        parse_columns(text, "--columns", BEHAVIOR_PARTS, (USER, ITEM, TIME))


@given(st.lists(st.sampled_from(["1", "01", "2", "3", "12", "uid", "UID", "1a"]), min_size=3, max_size=5))
def test_a_column_that_two_parts_name_is_refused(columns: list[str]) -> None:
    text = ",".join(f"{part}={column}" for part, column in zip(BEHAVIOR_PARTS, columns, strict=False))
    needed = BEHAVIOR_PARTS[:3]
    meant = [int(column) if column.isdigit() else column for column in columns]
    if len(set(meant)) < len(meant):
        with pytest.raises(SourceError, match="two parts"):
            parse_columns(text, "--columns", BEHAVIOR_PARTS, needed)
    elif len({type(column) for column in meant}) == 1:
        assert list(parse_columns(text, "--columns", BEHAVIOR_PARTS, needed).values()) == columns

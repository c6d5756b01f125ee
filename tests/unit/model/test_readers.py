"""Readers: each format becomes the three-record world's behaviours, and no row is lost uncounted."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.datasets.action_map import identity_map, parse_action_map, rating_map, rating_rules, word_of
from model.datasets.errors import ActionMapError, SourceError
from model.datasets.reading import MAX_REASONS, MAX_WORDS, Item, Reader, ReadReport
from model.datasets.sources import SOURCES
from model.records import UserBehavior


def read(source: str, path: Path, actions: str = "") -> tuple[list[UserBehavior], ReadReport, Reader]:
    kind = SOURCES[source]
    reader = kind.reader(path, parse_action_map(actions, kind.actions))
    report = ReadReport()
    return list(reader.behaviors(report)), report, reader


@pytest.fixture
def ml_100k(tmp_path: Path) -> Path:
    (tmp_path / "ml-100k.inter").write_text(
        "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
        "1\t7\t5\t881250949\n1\t8\t3\t881250950\n2\t7\t1\t881250951\n2\t8\tbad\t881250951\n"
    )
    (tmp_path / "ml-100k.item").write_text(
        "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n"
        '7\t"Quoted\t1995\tComedy Drama\n8\tPlain\t1996\tunknown\n'
    )
    return tmp_path


def test_ml_100k_ratings_become_actions_and_milliseconds(ml_100k: Path) -> None:
    behaviors, _, _ = read("ml-100k", ml_100k)
    assert behaviors == [
        UserBehavior("1", "favorite", "7", 881250949000),
        UserBehavior("1", "click", "8", 881250950000),
        UserBehavior("2", "dislike", "7", 881250951000),
    ]


def test_ml_100k_counts_bad_rows(ml_100k: Path) -> None:
    _, report, _ = read("ml-100k", ml_100k)
    assert (report.rows, dict(report.skipped)) == (4, {"rating is no number": 1})


def test_ml_100k_catalogue_keeps_quotes_and_drops_unknown_genres(ml_100k: Path) -> None:
    _, _, reader = read("ml-100k", ml_100k)
    assert reader.items() == {"7": Item("7", '"Quoted', "Comedy"), "8": Item("8", "Plain", "")}


def test_all_makes_every_rating_the_same_action(ml_100k: Path) -> None:
    behaviors, _, _ = read("ml-100k", ml_100k, "all=click")
    assert {b.action for b in behaviors} == {"click"}


def test_skip_leaves_rows_out_and_counts_them(ml_100k: Path) -> None:
    behaviors, report, _ = read("ml-100k", ml_100k, "1=skip")
    assert len(behaviors) == 2
    assert report.skipped["rating '1' is left out by its rule"] == 1


def test_half_stars_are_mapped(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,4.0,10\n1,2,3.5,11\n1,3,0.5,12\n")
    (tmp_path / "movies.csv").write_text('movieId,title,genres\n1,"A, B (1995)",Comedy|Drama\n')
    behaviors, _, reader = read("movielens", tmp_path)
    assert [b.action for b in behaviors] == ["favorite", "click", "dislike"]
    assert reader.items()["1"] == Item("1", "A, B (1995)", "Comedy")


RETAIL = """InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123a,HOLDER,6,2010-12-01T08:26:00,2.55,17850,United Kingdom
C536379,85123A,HOLDER,-1,12/1/2010 9:41,2.55,17850.0,United Kingdom
536366,POST,POSTAGE,1,2010-12-01T08:26:00,18.0,12583,France
536367,22139,,56,2010-12-01T11:52:00,0.0,,United Kingdom
536368,22139,,many,2010-12-01T11:52:00,0.0,12583,France
"""


def test_retail_purchases_are_buys_and_cancellations_returns(tmp_path: Path) -> None:
    path = tmp_path / "retail.csv.gz"
    path.write_bytes(gzip.compress(RETAIL.encode()))
    behaviors, report, reader = read("online-retail", path)
    assert behaviors == [
        UserBehavior("17850", "buy", "85123A", 1291191960000),
        UserBehavior("17850", "return", "85123A", 1291196460000),
    ]
    assert report.rows == len(behaviors) + report.skipped.total() == 5
    assert reader.items() == {"85123A": Item("85123A", "HOLDER", "")}


def test_taobao_rows_become_behaviours(tmp_path: Path) -> None:
    path = tmp_path / "UserBehavior.csv"
    path.write_text("1,20,300,pv,1511544070\n1,20,300,fav,-5\n1,20,300\n1,20,300,look,1\n")
    behaviors, report, reader = read("taobao", path)
    assert behaviors == [UserBehavior("1", "view", "20", 1511544070000)]
    assert report.skipped.total() == 3
    assert reader.items() == {"20": Item("20", "20", "300")}


def test_json_lines_are_validated(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    good = '{"user_id":"u","action":"click","item_id":"i","timestamp":5,"event_id":"e"}'
    bad = ["{", '{"user_id":"u"}', good.replace('"i"', '""'), good.replace("click", "hover"), good.replace("5", "1.5")]
    path.write_text("\n".join([good, "", *bad]))
    behaviors, report, _ = read("jsonl", path)
    assert behaviors == [UserBehavior("u", "click", "i", 5, event_id="e")]
    assert report.skipped.total() == len(bad)


def test_a_file_of_another_format_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "other.csv"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(SourceError, match=r"other\.csv has no column InvoiceNo"):
        read("online-retail", path)


@pytest.mark.parametrize("source", ["movielens", "taobao", "jsonl", "online-retail"])
def test_a_missing_path_is_refused(source: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"/absent (is no .*give one|has no .*say with --path)"):
        read(source, tmp_path / "absent")


@pytest.mark.parametrize("text", ["5", "=click", "5=hover"])
def test_a_wrong_mapping_is_refused(text: str) -> None:
    with pytest.raises(ActionMapError, match="--actions"):
        parse_action_map(text, rating_map(half_stars=False))


def test_a_mapping_survives_its_text() -> None:
    mapping = parse_action_map("5=buy,1=skip", rating_map(half_stars=True))
    assert parse_action_map(mapping.as_text(), mapping).as_text() == mapping.as_text()


LINE = '{"user_id":"u","action":"click","item_id":"i","timestamp":1700000000000}'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, bz2.compress, lzma.compress])
def test_json_lines_are_read_in_every_encoding_and_packing(
    encoding: str, pack: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    path = tmp_path / "log"
    path.write_bytes(pack("\r\n".join([LINE.replace('"u"', '"é\U0001f600"'), LINE]).encode(encoding)))
    behaviors, report, _ = read("jsonl", path)
    assert [b.user_id for b in behaviors] == ["é\U0001f600", "u"]
    assert (report.lines, report.skipped) == (2, {})


@pytest.mark.parametrize(("written", "text"), [("101", "101"), ("101.0", "101"), ('"101"', "101"), ("-7", "-7")])
def test_ids_that_are_numbers_are_their_text(written: str, text: str, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(LINE.replace('"u"', written).replace('"i"', written))
    behaviors, _, _ = read("jsonl", path)
    assert [(b.user_id, b.item_id) for b in behaviors] == [(text, text)]


@pytest.mark.parametrize("written", ["1.5", "true", "null", "[1]", "{}", "1e400", "9" * 5000])
def test_ids_that_are_neither_text_nor_whole_are_counted(written: str, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join([LINE, LINE.replace('"u"', written)]))
    behaviors, report, _ = read("jsonl", path)
    assert (len(behaviors), report.skipped.total()) == (1, 1)


@pytest.mark.parametrize("text", [f"[{LINE}]", f"[\n{LINE}\n]", f" [ {LINE},\n{LINE}]", '[["u"]]'])
def test_a_json_array_is_refused_with_the_way_out(text: str, tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text(text)
    with pytest.raises(SourceError, match="jq -c"):
        read("jsonl", path)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 255))
def test_a_damaged_byte_of_json_lines_costs_its_rows_alone(at: int, byte: int) -> None:
    rows = [LINE.replace('"i"', f'"i{n}"') for n in range(20)]
    content = bytearray("\n".join(rows).encode())
    content[at % len(content)] = byte
    with TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        path.write_bytes(content)
        behaviors, report, _ = read("jsonl", path)
    assert len({b.item_id for b in behaviors} & {f"i{n}" for n in range(20)}) >= 18
    assert report.rows == len(behaviors) + report.skipped.total()
    assert report.lines == report.rows + report.blank


def test_the_offset_of_an_invoices_time_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "retail.csv"
    path.write_text(RETAIL.replace("2010-12-01T08:26:00", "2010-12-01T08:26:00+02:00"))
    behaviors, _, _ = read("online-retail", path)
    assert behaviors[0].timestamp == 1291191960000 - 7_200_000


@pytest.mark.parametrize("unit", [1, 1000, 10**6, 10**9])
@pytest.mark.parametrize("source", ["taobao", "jsonl", "csv"])
def test_every_source_tells_units_apart(source: str, unit: int, tmp_path: Path) -> None:
    time = 1_700_000_000 * unit
    texts = {
        "taobao": f"1,20,300,pv,{time}\n",
        "jsonl": LINE.replace("1700000000000", str(time)),
        "csv": f"user_id,item_id,action,timestamp\nu,i,click,{time}\n",
    }
    path = tmp_path / "log"
    path.write_text(texts[source])
    behaviors, _, _ = read(source, path)
    assert [b.timestamp for b in behaviors] == [1_700_000_000_000]


def test_the_dat_files_of_movielens_are_read(tmp_path: Path) -> None:
    (tmp_path / "ratings.dat").write_text("1::7::5::978300760\n2::7::1::978300761\n2::7::1\n")
    (tmp_path / "movies.dat").write_bytes(
        '7::Misérables, Les (1995)::Drama|Musical\n8::"9"::Comedy\n'.encode("latin-1")
    )
    behaviors, report, reader = read("movielens", tmp_path)
    assert behaviors[0] == UserBehavior("1", "favorite", "7", 978300760000)
    assert (len(behaviors), dict(report.skipped)) == (2, {"3 cells, not 4": 1})
    assert reader.items() == {"7": Item("7", "Misérables, Les (1995)", "Drama"), "8": Item("8", '"9"', "Comedy")}


words = st.sampled_from(["5", "5.0", "5.00", " 5", "+5", "05", "5."])


@given(words, words)
def test_a_number_is_the_same_word_however_it_is_written(rule: str, raw: str) -> None:
    mapping = parse_action_map(f"{rule}=buy", rating_map(half_stars=True))
    assert mapping(raw) == "buy"


@given(st.decimals(0, 1000, places=3), st.integers(0, 3))
def test_different_numbers_are_different_words(number: Decimal, zeros: int) -> None:
    text = f"{number:f}"
    assert Decimal(word_of(text + "0" * zeros)) == number
    assert word_of(text) == word_of(text + "0" * zeros)


def test_one_word_with_two_actions_is_refused() -> None:
    with pytest.raises(ActionMapError, match="another"):
        parse_action_map("5=buy,5.0=click", rating_map(half_stars=True))


@pytest.mark.parametrize(("top", "favorite", "click"), [(5, {"4", "5"}, {"3"}), (10, {"8", "9", "10"}, {"6", "7"})])
def test_ratings_of_a_scale_get_the_meaning_of_stars(top: int, favorite: set[str], click: set[str]) -> None:
    rules = parse_action_map(rating_rules(map(str, range(1, top + 1))) or "", identity_map())
    named = {word: rules(word) for word in map(str, range(1, top + 1))}
    assert {word for word, action in named.items() if action == "favorite"} == favorite
    assert {word for word, action in named.items() if action == "click"} == click
    assert {action for word, action in named.items() if word not in favorite | click} == {"dislike"}


def test_words_that_are_no_ratings_have_no_scale() -> None:
    assert rating_rules(["view", "5"]) is None
    assert rating_rules([]) is None


def test_reasons_and_words_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join(LINE.replace("click", f"word {n}") for n in range(1000)))
    _, report, _ = read("jsonl", path)
    assert report.skipped.total() == 1000
    assert len(report.skipped) == MAX_REASONS + 1
    assert len(report.words) <= MAX_WORDS


CR_ALONE = r"CR alone; end them with LF: tr '\\r' '\\n' < log\.jsonl > "


@pytest.mark.parametrize("lines", [1, 2, pytest.param(20_000, marks=pytest.mark.heavy)])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_json_lines_that_end_with_cr_alone_are_refused_as_such(lines: int, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes("".join(f"{LINE}\r" for _ in range(lines)).encode(encoding))
    if lines == 1:
        assert len(read("jsonl", path)[0]) == 1
        return
    with pytest.raises(SourceError, match=CR_ALONE):
        read("jsonl", path)
    path.write_bytes("".join(f"{LINE}\r\n" for _ in range(lines)).encode(encoding))
    assert len(read("jsonl", path)[0]) == lines


def test_long_records_that_end_with_cr_alone_are_refused_as_such(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(f'{LINE[:-1]}, "note": "{"x" * 300}"}}\r' * 5_000)
    with pytest.raises(SourceError, match=CR_ALONE):
        read("jsonl", path)

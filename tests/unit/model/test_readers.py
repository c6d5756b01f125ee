"""Readers: each format becomes the three-record world's behaviours, and no row is lost uncounted."""

import gzip
from pathlib import Path

import pytest

from model.datasets.action_map import parse_action_map, rating_map
from model.datasets.errors import ActionMapError, SourceError
from model.datasets.reading import Item, Reader, ReadReport
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
    with pytest.raises(SourceError, match="--path"):
        read(source, tmp_path / "absent")


@pytest.mark.parametrize("text", ["5", "=click", "5=hover"])
def test_a_wrong_mapping_is_refused(text: str) -> None:
    with pytest.raises(ActionMapError, match="--actions"):
        parse_action_map(text, rating_map(half_stars=False))


def test_a_mapping_survives_its_text() -> None:
    mapping = parse_action_map("5=buy,1=skip", rating_map(half_stars=True))
    assert parse_action_map(mapping.as_text(), mapping).as_text() == mapping.as_text()

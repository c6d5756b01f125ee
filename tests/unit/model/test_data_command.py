"""`recloop data`: what a user sees, and that wrong input stops with a message."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from job.cli import app as whole_app
from job.commands.data import app
from model.datasets.json_lines import encode_behavior
from model.records import UserBehavior

NOW_MS = 1_700_000_000_000


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    path.write_bytes(encode_behavior(UserBehavior("u", "click", "i", NOW_MS)) + b"\nnot json\n")
    return path


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def prepare(log: Path, *more: object) -> tuple[int, str]:
    return run("prepare", "jsonl", "--path", log, "--name", "mine", "--data-dir", log.parent / "data", *more)


def test_skipped_rows_are_reported_with_an_example(log: Path) -> None:
    code, output = prepare(log)
    assert code == 0
    assert "of 2 rows read" in output
    assert "not json" in output


def test_json_of_show_is_the_summary(log: Path) -> None:
    prepare(log)
    code, output = run("show", "mine", "--data-dir", log.parent / "data", "--json")
    assert code == 0
    assert json.loads(output)["behaviors"] == 1


def test_a_second_preparation_says_it_is_up_to_date(log: Path) -> None:
    prepare(log)
    assert json.loads(prepare(log, "--json")[1])["was_up_to_date"] is True


def test_generate_reports_its_rate(tmp_path: Path) -> None:
    arguments = ("--users", 5, "--items", 5, "--behaviors", 20, "--tastes", 2, "--out", tmp_path / "s", "--json")
    code, output = run("generate", *arguments)
    assert code == 0
    assert json.loads(output)["behaviors_per_s"] > 0


def folder_of(log: Path) -> Path:
    return log.parent / "data" / "mine"


def test_every_line_is_accounted_for_in_the_summary(log: Path) -> None:
    code, output = prepare(log, "--json")
    told = json.loads(output)
    assert code == 0
    assert told["counted"]["rows"] == told["behaviors"] + sum(told["skipped"].values()) == 2
    assert json.loads((folder_of(log) / "dataset.json").read_text())["counted"] == told["counted"]


def test_mostly_bad_rows_end_with_1_and_write_nothing(log: Path) -> None:
    log.write_bytes(log.read_bytes() + b"[/bold] is no markup\n")
    code, output = prepare(log)
    assert code == 1
    assert "1 of 3 rows can be used" in output
    assert not folder_of(log).exists()
    assert prepare(log, "--least-usable", 0)[0] == 0


def test_what_looks_like_markup_is_shown_as_it_is(log: Path) -> None:
    log.write_bytes(log.read_bytes().replace(b"not json", b"[/bold] \x1b[31m"))
    code, output = prepare(log)
    assert code == 0
    assert "[/bold]" in output
    assert "\x1b[31m" not in output


def test_a_table_is_prepared_by_its_columns(tmp_path: Path) -> None:
    table, items = tmp_path / "orders", tmp_path / "items.csv"
    table.write_text("7::2023-11-14T22:13:20+01:00::12.0::e\n7::2023-11-14T22:13:20+01:00::12::e\n")
    items.write_text("sku;name\n12;Tea\n")
    arguments = ("prepare", "csv", "--path", table, "--delimiter", "::", "--columns", "user=1,time=2,item=3,event=4")
    more = ("--actions", "all=buy", "--name", "mine", "--data-dir", tmp_path / "data", "--json")
    code, output = run(*arguments, *more)
    assert code == 0
    told = json.loads(output)
    assert (told["behaviors"], told["users"], told["first_timestamp"]) == (1, 1, 1_699_996_400_000)
    catalogue = ("--items", items, "--item-columns", "item=sku,title=name")
    code, output = run(*arguments, *more, *catalogue)
    assert (code, "--delimiter ';'" in output) == (1, True)
    assert run(*arguments, *more, *catalogue, "--item-delimiter", ";")[0] == 0
    assert json.loads((tmp_path / "data/mine/items.jsonl").read_text()) == {
        "item_id": "12",
        "title": "Tea",
        "group": "",
    }


OWN = (
    "actions.wishlist.code=33",
    "actions.wishlist.kind=positive",
    "actions.wishlist.weight=2",
    "actions.wishlist.half_life=P7D",
)


@pytest.mark.heavy
def test_actions_of_ones_own_are_prepared_trained_on_and_evaluated(tmp_path: Path) -> None:
    log, data = tmp_path / "log.jsonl", tmp_path / "data"
    rows = [UserBehavior(f"u{n % 7}", "wishlist", f"i{n % 5}", NOW_MS + n) for n in range(200)]
    log.write_bytes(b"\n".join(map(encode_behavior, rows)))
    settings = [text for setting in OWN for text in ("--set", setting)]
    assert prepare(log)[0] == 1
    assert prepare(log, *settings)[0] == 0
    for arguments in (("train", "mine", "--out", tmp_path / "m", "--recommender", "item-cf"), ("evaluate", "mine")):
        kind = () if arguments[0] == "train" else ("--recommender", "item-cf")
        result = CliRunner().invoke(whole_app, [*map(str, arguments), *kind, "--data-dir", str(data), "--json"])
        assert result.exit_code == 0, result.output
    assert (tmp_path / "m" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("prepare", "nothing"), "there is no source 'nothing'"),
        (("prepare", "taobao"), "--path"),
        (("prepare", "ml-100k", "--actions", "5"), "is not RAW=ACTION"),
        (("prepare", "csv", "--path", "x", "--time-unit", "weeks"), "--time-unit"),
        (("prepare", "jsonl", "--path", "x", "--delimiter", ";"), "csv and parquet"),
        (("prepare", "csv", "--path", "x", "--columns", "user=1"), "item and time"),
        (("prepare", "jsonl", "--path", "x", "--set", "lists.size=3"), "no such setting"),
        (("show", "absent"), "recloop data prepare"),
        (("generate", "--users", "1", "--items", "1"), "no more than items"),
    ],
)
def test_wrong_input_stops_with_a_message(arguments: tuple[str, ...], message: str) -> None:
    code, output = run(*arguments)
    assert code == 1
    assert message in output

"""`recloop data`: what a user sees, and that wrong input stops with a message."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from job.commands.data import app
from model.datasets.json_lines import encode_behavior
from model.records import UserBehavior


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.jsonl"
    path.write_bytes(encode_behavior(UserBehavior("u", "click", "i", 5)) + b"\nnot json\n")
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("prepare", "nothing"), "there is no source 'nothing'"),
        (("prepare", "taobao"), "--path"),
        (("prepare", "ml-100k", "--actions", "5"), "is not RAW=ACTION"),
        (("show", "absent"), "recloop data prepare"),
        (("generate", "--users", "0"), "1 or more"),
    ],
)
def test_wrong_input_stops_with_a_message(arguments: tuple[str, ...], message: str) -> None:
    code, output = run(*arguments)
    assert code == 1
    assert message in output

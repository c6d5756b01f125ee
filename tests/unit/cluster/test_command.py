"""The cluster commands where no cluster runs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from job.cluster import SettingRefusedError, find, stop
from job.commands.cluster import app
from job.commands.options import parse_settings


def test_settings_are_words_of_key_and_value() -> None:
    assert parse_settings(["a.b = 1", "c=x=y"]) == {"a.b": "1", "c": "x=y"}


@pytest.mark.parametrize("word", ["a", "=1", ""])
def test_a_word_that_is_no_setting_is_refused(word: str) -> None:
    with pytest.raises(SettingRefusedError, match="write KEY=VALUE"):
        parse_settings([word])


def test_status_of_nothing_ends_with_one(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["status", "--dir", str(tmp_path)])

    assert result.exit_code == 1
    assert "No cluster runs" in result.output


def test_status_of_nothing_as_json(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["status", "--json", "--dir", str(tmp_path)])

    told = json.loads(result.output)
    assert (told["state"], told["rest_url"], told["task_managers"]) == ("stopped", None, [])


def test_stopping_nothing_is_no_error_and_makes_no_folder(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["stop", "--dir", str(tmp_path / "none")])

    assert result.exit_code == 0
    assert not (tmp_path / "none").exists()


def test_stopping_touches_no_folder_of_somebody_else(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("precious")

    assert stop(tmp_path) == 0
    assert [(each.name, each.read_text()) for each in tmp_path.iterdir()] == [("state.json", "precious")]


def test_a_wrong_setting_is_told_and_nothing_is_started(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["start", "--dir", str(tmp_path), "--set", "rest.port=1"])

    assert result.exit_code == 1
    assert "rest_port" in result.output
    assert find(tmp_path) is None


@pytest.mark.parametrize("left", ["state.json", "cluster.json"])
def test_a_folder_with_a_broken_record_counts_as_stopped(tmp_path: Path, left: str) -> None:
    (tmp_path / left).write_text("{")
    (tmp_path / "supervisor.lock").touch()

    assert find(tmp_path) is None
    assert stop(tmp_path) == 0

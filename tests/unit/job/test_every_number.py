"""Every option of every command that takes a number has bounds, and refuses others before the command does anything."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from job.cli import app
from tests.unit.job.test_every_option import COMMANDS

NUMBERS = ("0", "-1", "nan", "inf", str(10**21))
CASES = [
    pytest.param(words, parameter, id=f"{words} {parameter.opts[0]}")
    for words, command in COMMANDS.items()
    for parameter in command.params
    if parameter.type_descriptor.annotation in {int, float}
]


def test_there_are_numbers() -> None:
    assert len(CASES) > 40


@pytest.mark.parametrize(("words", "parameter"), CASES)
def test_numbers_outside_its_bounds_are_refused_with_the_options_name(words: str, parameter: Any) -> None:
    info = parameter.type_descriptor.parameter_info
    assert info.min is not None
    assert info.max is not None
    outside = [number for number in NUMBERS if not info.min <= float(number) <= info.max]
    assert len(outside) >= 4 or info.min < 1
    for number in outside:
        result = CliRunner().invoke(app, [*words.split(), parameter.opts[0], number], env={"COLUMNS": "400"})
        assert result.exit_code == 2, result.output
        assert f"Invalid value for '{parameter.opts[0]}" in result.output


@pytest.mark.parametrize("number", [*NUMBERS, "1e400x", "-1x"])
def test_a_speed_that_is_none_is_refused(number: str) -> None:
    result = CliRunner().invoke(app, ["replay", "none", "--speed", number], env={"COLUMNS": "400"})
    assert result.exit_code == 2
    assert "Invalid value for '--speed': give a factor from 0.000001 to 1,000,000,000, as 1000x, not" in result.output


@pytest.mark.parametrize("duration", [*NUMBERS, f"{10**21}h", "366d", "8761h"])
def test_a_pause_that_is_none_is_refused(duration: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["compact", str(tmp_path), "--every", duration])
    assert result.exit_code == 2
    assert "write a duration from 1ms to 8760h, such as 30s or 5m" in result.output

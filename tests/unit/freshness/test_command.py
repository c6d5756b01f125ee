"""`recloop evaluate --live`: what it refuses before a cluster is started, and what it prints."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from job.cli import app
from job.commands.live_evaluation import _print
from job.freshness.evaluation import _write
from model.datasets.generate import Synthetic, generate
from model.evaluation.freshness import Question, look_up
from model.evaluation.freshness_report import Freshness, Run, Subject, report_on
from tests.unit.model.test_freshness import trace
from tests.unit.model.tiny_bundle import write_tiny

pytestmark = pytest.mark.heavy


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    generate(Synthetic(users=9, items=20, behaviors=200, tastes=3), tmp_path / "set", "set")
    write_tiny(tmp_path / "bundle", "1")
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["evaluate", "./set", *words], env={"COLUMNS": "400"})


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--live", "--seeds", "2"), "--seeds has no effect with --live"),
        (("--live", "--cut", "0.5"), "--cut has no effect with --live"),
        (("--no-trends",), "--no-trends has no effect without --live"),
        (("--set", "lists.length=5"), "--set has no effect without --live"),
        (("--live", "--bundle", "bundle", "--bundle", "bundle"), "one bundle at a time"),
    ],
)
def test_options_without_effect_are_refused(words: tuple[str, ...], sentence: str) -> None:
    shown = run(*words)
    assert shown.exit_code == 2
    assert sentence in shown.output


def test_the_bundle_is_the_data_sets_by_default() -> None:
    shown = run("--live")
    assert shown.exit_code == 1
    assert str(Path(".recloop/models/set")) in shown.output


def test_a_folder_of_somebody_else_is_not_worked_in(folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "letter").write_text("x")
    shown = run("--live", "--bundle", "bundle", "--out", "mine")
    assert shown.exit_code == 1
    assert [file.name for file in (folder / "mine").iterdir()] == ["letter"]


def report() -> Freshness:
    asked = Question(cut_off=100, popular=("p", "q"), top=2)
    subject = Subject(dataset="set", recommender="sasrec", model_hash="h", vocabulary=frozenset("abcdpq"))
    plain = look_up([trace(("a", 50, "xb"), ("b", 100, "cd"), ("c", 110, "ab"))], asked)
    trendy = look_up([trace(("a", 50, "bx"), ("b", 100, "dd"), ("c", 110, "ab"))], asked)
    runs = [Run(trends=False, fallbacks=0, looked_up=plain), Run(trends=True, fallbacks=3, looked_up=trendy)]
    return report_on(subject, asked, runs)


def test_the_tables_have_each_rule_of_each_run(capsys: pytest.CaptureFixture[str]) -> None:
    _print(report())
    shown = capsys.readouterr().out
    assert shown.count("behaviour less never") == 2
    assert "set, trends off: 2 targets of 1 users" in shown
    assert "trends on: 3 lists were made without scores." in shown


def test_figures_and_picture_are_written(folder: Path) -> None:
    _write(report(), folder)
    assert (folder / "freshness.png").read_bytes().startswith(b"\x89PNG")
    assert '"refreshed": "behaviour"' in (folder / "freshness.json").read_text()

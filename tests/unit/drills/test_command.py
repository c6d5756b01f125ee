"""`recloop drill`: its exit codes, and what it prints where."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from job.commands import drill
from job.drills.evidence import Output
from job.drills.verdict import Case, Verdict, judge
from tests.unit.drills.outputs import PLANTED, good_output, good_recovery, without_behavior

app = typer.Typer()
app.command()(drill.drill)
runner = CliRunner()


def test_the_faults_can_be_listed() -> None:
    listed = runner.invoke(app, ["--list", "--json"])
    assert listed.exit_code == 0
    assert "kill-task-manager" in json.loads(listed.stdout)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [([], "--smoke"), (["--fault", "flood"], "kill-task-manager"), (["--smoke", "--out", "."], "new folder")],
    ids=["nothing to run", "an unknown fault", "somebody else's folder"],
)
def test_what_cannot_be_run_ends_with_2(arguments: list[str], said: str) -> None:
    ended = runner.invoke(app, arguments)
    assert ended.exit_code == 2
    assert said in " ".join(ended.stderr.split())


@pytest.mark.parametrize(("output", "code"), [(good_output(), 0), (without_behavior(good_output(), 2), 1)])
def test_the_verdict_decides_the_exit_code(
    output: Output, code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    control = Case(output=good_output(), planted=PLANTED)
    fault = Case(name="kill", output=output, control=good_output(), planted=PLANTED, recovery=good_recovery())
    verdict = Verdict(judge(control), [judge(fault)])
    monkeypatch.setattr(drill, "run_drill", lambda *_: verdict)
    ended = runner.invoke(app, ["--smoke", "--json", "--out", str(tmp_path)])
    assert ended.exit_code == code
    assert json.loads(ended.stdout)["ok"] is (code == 0)


def test_a_bug_is_no_verdict(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(*_: object) -> Verdict:
        raise ZeroDivisionError

    monkeypatch.setattr(drill, "run_drill", broken)
    assert runner.invoke(app, ["--smoke", "--out", str(tmp_path)]).exit_code == 2

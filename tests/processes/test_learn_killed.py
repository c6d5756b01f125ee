"""`recloop learn` killed by kill -9 after each of its steps, one after the other in one round: one decision is made."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from job.deployment.shipping import PROJECT
from job.learning.learner import Step
from job.tables import duck
from model.bundles.bundle import Bundle
from model.registry.registry import Registry
from tests.unit.learning.drifting import NAME, append, phase, serve_first, settings

pytestmark = [pytest.mark.heavy, pytest.mark.slow]


def run(*words: object) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", *map(str, words)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.timeout(1_800)
def test_killed_at_each_step_in_turn_a_round_ends_in_one_decision(tmp_path: Path) -> None:
    serve_first(tmp_path, "gru:epochs=2")
    append(tmp_path, phase(1, ring=True))
    job = settings(tmp_path)
    registry = Registry(str(job.models.url))
    for step in Step:
        killed = run("tests.processes.dying_learner", tmp_path, step)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        for version in registry.versions(NAME):
            assert Bundle.load(tmp_path / "registry" / NAME / version).manifest.version == version
        assert registry.pointers(NAME).revision <= 2
    options = {
        "models.url": job.models.url,
        "models.cache": job.models.cache,
        "log.folder": job.log.folder,
        "tables.folder": job.tables.folder,
        "learn.folder": job.learn.folder,
        "learn.held_out": 200,
        "learn.behaviors": 200,
    }
    given = [f"--set={name}={value}" for name, value in options.items()]
    last = run("job.cli", "learn", "--once", f"--set=models.name={NAME}", *given)
    assert (last.returncode, last.stdout) == (0, ""), last.stderr
    rows = duck.query(job.tables.folder, "SELECT * FROM model_updates_all").records()
    assert [row["decision_number"] for row in rows] == [1]
    assert len(registry.versions(NAME)) == 2
    current = registry.pointers(NAME).current
    assert current is not None
    assert (current.id == rows[0]["model_version"]) == (rows[0]["decision"] == "promoted")
    assert registry.pointers(NAME).revision == 1 + (rows[0]["decision"] == "promoted")
    assert not list((tmp_path / "tables" / "model_updates").rglob(".*"))


def test_a_training_that_is_killed_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    serve_first(tmp_path, "gru:epochs=2")
    append(tmp_path, phase(1, ring=True))
    job = settings(tmp_path)
    command = [sys.executable, "-m", "tests.processes.dying_learner", str(tmp_path), Step.DECIDED]
    training = tmp_path / "learn" / NAME / "training" / "training.checkpoint"
    with subprocess.Popen(command, cwd=PROJECT) as process:
        while not training.exists() and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (tmp_path / "tables").exists()
    ended = run("tests.processes.dying_learner", tmp_path, Step.CLOSED)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert duck.query(job.tables.folder, "SELECT count(*) FROM model_updates").rows == [(1,)]

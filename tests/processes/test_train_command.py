"""`recloop train`: by several processes, broken off and gone on with, and under torchrun."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from job.cli import app
from job.deployment.shipping import PROJECT
from model.datasets.generate import Synthetic, generate
from model.training.train_config import CHECKPOINT

HERE = [sys.executable, "-m", "job.cli"]
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2", "--max-restarts=1"]
TORCHRUN += ["-m", "job.cli"]
GRU = ["--recommender", "gru", "--dim", "8", "--epochs", "3"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "tiny"
    generate(Synthetic(users=200, items=50, behaviors=4_000), folder, "tiny")
    return folder


def started(start: list[str], *arguments: object) -> "subprocess.Popen[str]":
    command = [*start, *map(str, arguments)]
    return subprocess.Popen(
        command, text=True, cwd=PROJECT, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def ended(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    try:
        out, err = process.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    return process.returncode, out, err


def wait_for(checkpoint: Path, training: "subprocess.Popen[str]") -> None:
    while not checkpoint.exists():
        assert training.poll() is None
        time.sleep(0.01)


@pytest.mark.parametrize("asked", [["--processes", "2"], ["--resume"]])
def test_only_models_of_sequences_are_shared_or_gone_on_with(data: Path, tmp_path: Path, asked: list[str]) -> None:
    arguments = ["train", str(data), "--recommender", "ease", *asked, "--out", str(tmp_path / "bundle")]
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 1
    assert "is for sasrec" in refused.output
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_ctrl_c_leaves_the_checkpoint_alone_behind_and_resume_ends_the_training(data: Path, tmp_path: Path) -> None:
    long = [*GRU, "--processes", "2", "--epochs", "20", "--out", tmp_path / "bundle"]
    training = started(HERE, "train", data, *long)
    checkpoint = tmp_path / ".bundle.training" / CHECKPOINT
    wait_for(checkpoint, training)
    workers = psutil.Process(training.pid).children()
    os.killpg(training.pid, signal.SIGINT)
    code, _, err = ended(training)
    assert code == 130
    assert "--resume goes on" in err
    assert "Traceback" not in err
    assert len(workers) == 3
    assert psutil.wait_procs(workers, timeout=20)[1] == []
    assert [path.name for path in tmp_path.iterdir()] == [".bundle.training"]
    code, out, err = ended(started(HERE, "train", data, *long, "--resume", "--json"))
    assert code == 0, err
    assert json.loads(out)["bundle"] == str(tmp_path / "bundle")
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.slow
def test_torchrun_trains_what_processes_train_though_a_worker_is_killed(data: Path, tmp_path: Path) -> None:
    long = [data, *GRU, "--epochs", 20, "--json", "--out"]
    code, out, err = ended(started(HERE, "train", *long, tmp_path / "processes", "--processes", 2))
    assert code == 0, err
    training = started(TORCHRUN, "train", *long, tmp_path / "torchrun")
    wait_for(tmp_path / ".torchrun.training" / CHECKPOINT, training)
    (_, last) = psutil.Process(training.pid).children()
    last.kill()
    code, of_torchrun, err = ended(training)
    assert code == 0, err
    assert f"exitcode: -9) local_rank: 1 (pid: {last.pid})" in err
    assert json.loads(of_torchrun)["model"] == json.loads(out)["model"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["processes", "torchrun"]

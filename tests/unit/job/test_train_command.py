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

from job.shipping import PROJECT
from model.datasets.generate import Synthetic, generate
from model.train_config import CHECKPOINT

HERE = [sys.executable, "-m", "job.cli"]
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
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


@pytest.mark.slow
def test_only_models_of_sequences_are_trained_by_several_processes(data: Path, tmp_path: Path) -> None:
    code, _, err = ended(
        started(HERE, "train", data, "--recommender", "ease", "--processes", 2, "--out", tmp_path / "b")
    )
    assert code == 1
    assert "processes above 1 is for sasrec" in err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_ctrl_c_leaves_the_checkpoint_alone_behind_and_resume_ends_the_training(data: Path, tmp_path: Path) -> None:
    long = [*GRU, "--processes", "2", "--epochs", "20", "--out", tmp_path / "bundle"]
    training = started(HERE, "train", data, *long)
    checkpoint = tmp_path / ".bundle.training" / CHECKPOINT
    while not checkpoint.exists():
        assert training.poll() is None
        time.sleep(0.01)
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
def test_torchrun_trains_what_processes_train(data: Path, tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "job.cli"]
    told = []
    for start, more in ((HERE, ["--processes", "2"]), (torchrun, [])):
        arguments = [data, *GRU, *more, "--out", tmp_path / "bundle", "--json"]
        code, out, err = ended(started(start, "train", *arguments))
        assert code == 0, err
        told.append(json.loads(out))
    assert told[0]["model"] == told[1]["model"]
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


@pytest.mark.slow
def test_torchrun_and_processes_are_not_mixed(data: Path, tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "job.cli"]
    code, _, err = ended(started(torchrun, "train", data, *GRU, "--processes", 2, "--out", tmp_path / "bundle"))
    assert code == 1
    assert "leave --processes out" in err

"""Processes that share the users give what one gives, though one of them is killed."""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from job.offline import run
from job.offline.run import score_users
from model.datasets.generate import Synthetic, generate
from model.worker_processes import run_workers
from tests.unit.job.test_offline_scoring import ITEMS, order_of


@pytest.mark.parametrize("kills", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_two_processes_write_what_one_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, kills: int
) -> None:
    dataset = generate(Synthetic(users=400, items=ITEMS, behaviors=4_000, tastes=3), tmp_path / "many", "many")
    started: list[int] = []
    killed: list[int] = []

    def counted(work: Callable[..., None], processes: int, hear: Callable[[Any], None]) -> None:
        started.append(processes)
        run_workers(work, processes, hear)

    def kill_one(what: str, _done: int, _total: int) -> None:
        if what == "scoring" and len(killed) < kills:
            there = [each for each in psutil.Process().children() if "spawn_main" in " ".join(each.cmdline())]
            killed.append(there[-1].pid)
            os.kill(there[-1].pid, signal.SIGKILL)

    alone = score_users(order_of(dataset, tmp_path / "one.jsonl"))
    monkeypatch.setattr(run, "run_workers", counted)
    together = score_users(order_of(dataset, tmp_path / "two.jsonl", processes=2), kill_one)
    assert started == [2]
    assert caplog.text.count("was killed by SIGKILL: begun again") == kills
    assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    assert together == alone

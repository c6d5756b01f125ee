"""Processes that share the users give what one gives, though one of them is killed."""

import os
import signal
from pathlib import Path

import psutil
import pytest

from job.offline.run import score_users
from model.datasets.generate import Synthetic, generate
from tests.unit.job.test_offline_scoring import ITEMS, order_of


@pytest.mark.parametrize("kills", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_two_processes_write_what_one_writes(tmp_path: Path, kills: int) -> None:
    dataset = generate(Synthetic(users=400, items=ITEMS, behaviors=4_000, tastes=3), tmp_path / "many", "many")
    workers: set[int] = set()
    killed: list[int] = []

    def look(what: str, _done: int, _total: int) -> None:
        there = [each.pid for each in psutil.Process().children() if "spawn_main" in " ".join(each.cmdline())]
        workers.update(there)
        if what == "scoring" and len(killed) < kills:
            killed.append(there[-1])
            os.kill(there[-1], signal.SIGKILL)

    alone = score_users(order_of(dataset, tmp_path / "one.jsonl"))
    together = score_users(order_of(dataset, tmp_path / "two.jsonl", processes=2), look)
    assert len(workers) == 2 + 2 * kills
    assert (tmp_path / "two.jsonl").read_bytes() == (tmp_path / "one.jsonl").read_bytes()
    assert together == alone

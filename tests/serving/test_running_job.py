"""A real job, and a server that follows it: what is written is read, and nothing is lost that was acknowledged."""

import time
from pathlib import Path

import pytest

from job.serving.client import Client
from tests.job.fixtures import Deploy, Run
from tests.job.waiting import wait_until
from tests.serving.process import served
from tests.serving.sender import USERS, Sender, click
from udfs.log.file_log import partitions_of

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def deployed(run_job: Deploy, folder: Path) -> Run:
    return run_job(folder / "log", f"publish.lists_folder={folder}/lists")


def test_a_read_has_seen_the_write_before_it_and_a_killed_server_loses_nothing(run_job: Deploy, tmp_path: Path) -> None:
    job = deployed(run_job, tmp_path)
    with served(tmp_path) as server, Client(server.url) as client:
        assert client.recommendations("nobody").source in {"trending", "popular", "none"}
        client.recommendations("user-0", after=client.append(click(0)).after, wait_ms=5_000)  # the model's first call
        taken = []
        for number in range(1, 200):
            began = time.perf_counter()
            after = client.append(click(number)).after
            assert client.recommendations(f"user-{number % USERS}", after=after, wait_ms=5_000).stale is False
            taken.append((time.perf_counter() - began) * 1000)
        taken.sort()
        print(f"write to read: p50 {taken[99]:.0f} ms, p99 {taken[196]:.0f} ms, longest {taken[-1]:.0f} ms")
        sender = Sender(server.port)
        wait_until(lambda: len(sender.acknowledged) > 50, timeout_s=60, what="acknowledged behaviours")
        server.process.kill()
        server.process.wait()
    before = len(sender.acknowledged)
    with served(tmp_path, port=server.port) as again, Client(again.url) as client:
        wait_until(lambda: len(sender.acknowledged) > before + 50, timeout_s=60, what="behaviours after the kill")
        sender.end()
        for user, after in sender.newest().items():
            assert client.recommendations(user, after=after, wait_ms=5_000).stale is False
        offsets = sum(
            len((tmp_path / "log" / f"partition-{number:04d}.jsonl").read_bytes().splitlines())
            for number in range(partitions_of(tmp_path / "log"))
        )
        job.wait_for_offsets(offsets, timeout_s=60)
        applied = job.rows(
            "SELECT event_id, log_partition || ':' || log_offset FROM user_behavior WHERE outcome = 'applied'"
        )
        places = {str(event): str(at) for event, at in applied}
        assert sender.acknowledged.items() <= places.items(), "each where its answer said"
        newest = job.rows("SELECT user_id, list_version, items FROM latest_recommendation_lists")
        assert len(newest) == USERS
        for name, version, items in newest:
            answer = client.recommendations(str(name))
            assert (answer.list_version, [each.item_id for each in answer.items]) == (version, items)

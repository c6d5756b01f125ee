"""The page that `recloop demo --keep` leaves: it comes back after kill -9, and ends with the cluster."""

import shutil
from pathlib import Path

import httpx
import psutil
import pytest

from job import demo, demo_page
from job.cluster import ClusterSpec
from job.demo import Folders
from job.replay.log_writer import create_log
from job.serving.answers import BehaviorIn
from job.serving.client import Client
from job.trial import silent, trial_cluster
from model.bundles.bundle import Bundle
from tests.job.fixtures import PARTITIONS
from tests.job.waiting import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
WAIT_S = 120


def test_the_page_that_is_kept_ends_with_the_cluster(bundle: Bundle, tmp_path: Path) -> None:
    folders = Folders(tmp_path)
    shutil.copytree(bundle.path, folders.bundle)
    create_log(folders.log, PARTITIONS)
    with trial_cluster(ClusterSpec(folders.cluster), timeout_s=WAIT_S) as cluster:
        demo.deploy_job(cluster, folders, silent)
        address = demo_page.keep_page(cluster, folders)
        url = address.removesuffix("/page/")
        assert "<h1>Live</h1>" in httpx.get(address).text
        with Client(url) as client:
            assert changes(client)
        (server,) = (each for each in running_in(tmp_path) if "serve" in each.cmdline())
        server.kill()
        server.wait(WAIT_S)
        wait_until(lambda: answers(url), timeout_s=WAIT_S, what="the server that the supervisor starts again")
        with Client(url) as client:
            assert changes(client)
        assert running_in(tmp_path)
    assert running_in(tmp_path) == []
    assert not answers(url)


def changes(client: Client) -> bool:
    """Whether a click makes a list."""
    after = client.append(BehaviorIn(user_id="7", action="click", item_id="50")).after
    return wait_until(
        lambda: client.recommendations("7", after=after, wait_ms=5_000).stale is False,
        timeout_s=WAIT_S,
        what="the list after a click",
    )


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz").is_success
    except httpx.HTTPError:
        return False


def running_in(folder: Path) -> list[psutil.Process]:
    """The processes whose command names the folder."""
    return [
        each
        for each in psutil.process_iter(["cmdline"])
        if any(str(folder) in word for word in each.info["cmdline"] or ())
    ]

"""The page of a job on a real cluster: a click goes the whole way, and a TaskManager killed under it loses nothing."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from job.cluster import RunningCluster
from job.replay.log_writer import LogWriter
from job.settings.job_settings import load
from model.bundles.bundle import Bundle
from model.datasets.prepared import Dataset
from tests.job.fixtures import PARTITIONS, Deploy
from tests.page.browser import browser_at, watched
from tests.page.conftest import recent, site_over

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.heavy]
RECOVERED = 120_000
"""The longest wait for a list after a TaskManager was killed, ms."""


def test_a_click_goes_the_whole_way_and_comes_back_after_a_kill(
    cluster: RunningCluster, run_job: Deploy, ml_100k: Dataset, bundle: Bundle, chromium: str, tmp_path: Path
) -> None:
    log, lists = tmp_path / "log", tmp_path / "lists"
    behaviors = recent(ml_100k, 200)
    with LogWriter(log, PARTITIONS) as writer:
        writer.append(behaviors)
    run = run_job(log, f'publish.lists_folder="{lists}"')
    run.wait_for_lists(200)
    settings = load(
        defaults={
            "log": {"folder": log},
            "tables": {"folder": run.tables},
            "publish": {"lists_folder": lists},
            "scoring": {"bundle": bundle.path},
        }
    ).resolved()
    with (
        site_over(settings, tmp_path, cluster=cluster.directory) as site,
        browser_at(chromium) as browser,
        watched(browser) as live,
        watched(browser) as seen,
    ):
        live.page.goto(f"{site.page}/")
        expect(live.page.locator("#job")).to_have_attribute("data-state", "running", timeout=60_000)
        expect(live.page.locator("#checkpoint")).not_to_have_text("–", timeout=60_000)
        user = behaviors[-1].user_id
        seen.page.goto(f"{site.page}/users/{user}")
        seen.page.locator('#list button[data-act="click"]').first.click()
        expect(seen.page.locator("#effect")).to_have_attribute("data-state", "good", timeout=60_000)

        before = site.serving.store.list_of(user)
        cluster.kill_task_manager(0)
        seen.page.locator('#list button[data-act="buy"]').first.click()
        expect(seen.page.locator("#history li").first).to_contain_text("buy")
        expect(seen.page.locator("#effect")).to_have_attribute("data-state", "good", timeout=RECOVERED)
        expect(seen.page.locator("#history li").first).not_to_contain_text("waits")
        after = site.serving.store.list_of(user)
        assert before is not None
        assert after is not None
        assert (after.list_version, after.user_seq) == (before.list_version + 1, before.user_seq + 1)
        assert after.epoch > before.epoch
        expect(live.page.locator("#restarts")).not_to_have_text("0", timeout=60_000)
        expect(live.page.locator("#job")).to_have_attribute("data-state", "running", timeout=60_000)
        assert seen.faults() == live.faults() == []
        assert seen.said == live.said == []

"""The page over TLS, in a browser: a key signs in, and the stream of events comes."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.page.browser import browser_at, watched
from tests.serving.tls import KEY, beyond_loopback
from tests.unit.serving.lists import list_row

pytestmark = [pytest.mark.slow, pytest.mark.heavy]


def test_a_browser_follows_lists_over_tls(chromium: str, tmp_path: Path) -> None:
    with (
        beyond_loopback(tmp_path) as beyond,
        browser_at(chromium) as browser,
        watched(browser, ignore_https_errors=True) as seen,
    ):
        seen.page.goto(f"{beyond.url}/page/users/u")
        seen.page.fill("#key", KEY)
        seen.page.locator("form.find button").click()
        seen.page.goto(f"{beyond.url}/page/users/u")
        expect(seen.page.locator("#list li").first).to_contain_text("a")
        seen.page.locator('#list button[data-act="click"]').first.click()
        expect(seen.page.locator("#history li").first).to_contain_text("click")
        beyond.world.publish(list_row("u", ("b", "c", "d"), list_version=2))
        expect(seen.page.locator("#list li")).to_have_count(3)
        expect(seen.page.locator("#list li").first).to_contain_text("b")
        expect(seen.page.locator("#gone")).to_contain_text("a")
        assert seen.said == []

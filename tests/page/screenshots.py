"""The pictures of docs/page.md: `python -m tests.page.screenshots`, on real data with the job's own functions."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

from playwright.sync_api import Browser, Page, expect

from job.deployment.shipping import PROJECT
from job.replay.log_writer import LogLockedError, LogWriter
from model.bundles.bundle import Bundle
from model.datasets.action_map import parse_action_map
from model.datasets.download import fetch_ml_100k
from model.datasets.prepare import Request, prepare
from model.datasets.prepared import Dataset
from model.datasets.sources import SOURCES
from model.records import UserBehavior
from model.registry.registry import Registry
from model.waiting import retry
from tests.page.browser import PHONE, WIDE, browser_at, watched
from tests.page.conftest import Site, find_chromium, recent, site_in

IMAGES = PROJECT / "docs/img"
BEHAVIORS = 3_000
A_SECOND = 12
EPOCHS = 4
LIVE_MS = 20_000
SETTLED_MS = 2_000


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        dataset, bundle = prepared(folder)
        behaviors = recent(dataset, BEHAVIORS)
        old, new = behaviors[: BEHAVIORS // 2], behaviors[BEHAVIORS // 2 :]
        with (
            site_in(folder / "site", bundle, old, registry=str(folder / "registry")) as site,
            browser_at(find_chromium() or "chromium") as browser,
            sending(site, new),
        ):
            for scheme in ("light", "dark"):
                take(browser, site, scheme)


def prepared(folder: Path) -> tuple[Dataset, Bundle]:
    from model.fit import FitConfig, fit
    from model.training.train import TrainConfig

    path = fetch_ml_100k(PROJECT / ".recloop/cache")
    request = Request("ml-100k", "ml-100k", path, parse_action_map("", SOURCES["ml-100k"].actions))
    dataset = prepare(request, folder / "data").dataset
    registry = Registry(str(folder / "registry"))
    for kind, training in (("item-cf", None), ("sasrec", TrainConfig(epochs=EPOCHS))):
        config = FitConfig(recommender=kind, settings=training)
        bundle = fit(dataset, folder / kind, config, datetime.now(UTC)).bundle
        registry.promote("ml-100k", registry.register(bundle.path, "ml-100k").id)
    return dataset, bundle


@contextmanager
def sending(site: Site, behaviors: Sequence[UserBehavior]) -> Iterator[None]:
    """Appends behaviours during the block, as a live log grows."""
    over = Event()

    def send() -> None:
        log = site.folder / "log"
        for each in behaviors:
            if over.wait(1 / A_SECOND):
                return
            with retry(lambda: LogWriter(log), LogLockedError, timeout_s=10, poll_s=0.01) as writer:
                writer.append([each])

    sender = Thread(target=send)
    sender.start()
    try:
        yield
    finally:
        over.set()
        sender.join()


def take(browser: Browser, site: Site, scheme: str) -> None:
    """Takes every picture of one theme."""
    with watched(browser, size=WIDE, color_scheme=scheme, device_scale_factor=1) as seen:
        seen.page.goto(f"{site.page}/")
        seen.page.wait_for_timeout(LIVE_MS)
        picture(seen.page, f"live-{scheme}")
        user = str(seen.page.locator("#behaviors a").first.text_content())
        act(seen.page, site, user)
        picture(seen.page, f"user-{scheme}")
        seen.page.goto(f"{site.page}/what-if")
        for text in ("Star Wars", "Toy Story"):
            seen.page.fill("#item", text)
            option = seen.page.locator("#items option").first
            expect(option).to_contain_text(text)
            seen.page.fill("#item", str(option.get_attribute("value")))
            seen.page.locator("#add button").click()
        for side in ("left", "right"):
            expect(seen.page.locator(f"#{side}-list li").first).to_be_visible(timeout=90_000)
        picture(seen.page, f"what-if-{scheme}")
        seen.page.goto(f"{site.page}/tables")
        seen.page.locator("#query button").click()
        expect(seen.page.locator("#result tbody tr").first).to_be_visible()
        picture(seen.page, f"tables-{scheme}")
        seen.page.goto(f"{site.page}/models")
        picture(seen.page, f"models-{scheme}")
    with watched(browser, size=PHONE, color_scheme=scheme, device_scale_factor=2) as seen:
        act(seen.page, site, user)
        picture(seen.page, f"user-phone-{scheme}")


def act(page: Page, site: Site, user: str) -> None:
    """Clicks on the second item of a user's list, and waits for the list that follows."""
    page.goto(f"{site.page}/users/{user}")
    page.locator('#list li:nth-child(2) button[data-act="click"]').click()
    expect(page.locator("#effect")).to_have_attribute("data-state", "good")
    page.wait_for_timeout(SETTLED_MS)


def picture(page: Page, name: str) -> None:
    """Takes what a window shows, without what is below it."""
    IMAGES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=IMAGES / f"{name}.png", animations="disabled")


if __name__ == "__main__":
    main()

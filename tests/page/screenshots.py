"""The pictures of docs/page.md, of a job on a cluster with real data: `python -m tests.page.screenshots`."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread

from playwright.sync_api import Browser, Page, expect

from job.cluster import ClusterSpec
from job.deployment.shipping import PROJECT
from job.replay.log_writer import LogLockedError, LogWriter, PartitionWriter
from job.settings.job_settings import JobSettings, load
from job.trial import accounted, launch, trial_cluster
from model.datasets.action_map import parse_action_map
from model.datasets.download import fetch_ml_100k
from model.datasets.prepare import Request, prepare
from model.datasets.prepared import Dataset
from model.datasets.sources import SOURCES
from model.records import UserBehavior
from model.registry.pointers import Version
from model.registry.registry import Registry
from model.waiting import retry
from tests.job.fixtures import BAD_LINES
from tests.job.waiting import wait_until
from tests.page.browser import PHONE, WIDE, browser_at, watched
from tests.page.conftest import Site, find_chromium, recent, site_over

IMAGES, SHOWN_IN = PROJECT / "docs/img", PROJECT / "docs/page.md"
OLD, NEW = 3_000, 3_000
A_SECOND = 20
EPOCHS = 1
DRILL = Path(".recloop/drill")
LIVE_MS = 25_000
SETTLED_MS = 2_500


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="recloop-") as scratch:
        folder = Path(scratch)
        dataset = prepared(folder)
        say("training two models")
        versions = registered(folder, dataset)
        settings = job_settings(folder, versions)
        behaviors = recent(dataset, OLD + NEW)
        with LogWriter(settings.log.folder) as log:
            log.append(behaviors[:OLD])
        writer = PartitionWriter(settings.log.folder, 0)
        writer.append(BAD_LINES)
        writer.close()
        with trial_cluster(ClusterSpec(folder / "cluster"), report=say) as cluster:
            launch(cluster, settings, report=say)
            wait_until(
                lambda: accounted(settings.tables.folder) >= OLD + len(BAD_LINES), timeout_s=240, what="the lists"
            )
            with (
                site_over(settings, folder, bundle=folder / "sasrec", cluster=cluster.directory, drill=DRILL) as site,
                sending(settings.log.folder, behaviors[OLD:]),
                browser_at(find_chromium() or "chromium") as browser,
            ):
                for scheme in ("light", "dark"):
                    take(browser, site, scheme)


def say(what: str) -> None:
    """Prints what is done now, as all of it takes minutes."""
    print(what, flush=True)


def prepared(folder: Path) -> Dataset:
    path = fetch_ml_100k(PROJECT / ".recloop/cache")
    request = Request("ml-100k", "ml-100k", path, parse_action_map("", SOURCES["ml-100k"].actions))
    return prepare(request, folder / "data").dataset


def registered(folder: Path, dataset: Dataset) -> list[Version]:
    """Two models in a registry, the second current."""
    from model.fit import FitConfig, fit
    from model.training.train import TrainConfig

    registry = Registry(str(folder / "registry"))
    versions = []
    for kind, training in (("item-cf", None), ("sasrec", TrainConfig(epochs=EPOCHS))):
        config = FitConfig(recommender=kind, settings=training)
        bundle = fit(dataset, folder / kind, config, datetime.now(UTC)).bundle
        versions.append(registry.register(bundle.path, "ml-100k"))
        registry.promote("ml-100k", versions[-1].id)
    return versions


def job_settings(folder: Path, versions: Sequence[Version]) -> JobSettings:
    """Settings of an A/B test of both models."""
    variants = {name: {"model": each.id, "weight": 1} for name, each in zip(("old", "new"), versions, strict=True)}
    models = {"url": str(folder / "registry"), "name": "ml-100k", "cache": str(folder / "cache"), "variants": variants}
    places = {"log.folder": "log", "tables.folder": "tables", "publish.lists_folder": "lists"}
    overrides = [f"{name}={json.dumps(str(folder / place))}" for name, place in places.items()]
    return load(overrides=overrides, defaults={"models": models}).resolved()


@contextmanager
def sending(log: Path, behaviors: Sequence[UserBehavior]) -> Iterator[None]:
    """Appends behaviours during the block, as a live log grows."""
    over = Event()

    def send() -> None:
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
    with watched(browser, size=WIDE, color_scheme=scheme) as seen:
        seen.page.goto(f"{site.page}/")
        expect(seen.page.locator("#job")).to_have_attribute("data-state", "running", timeout=60_000)
        seen.page.wait_for_timeout(LIVE_MS)
        picture(seen.page, f"live-{scheme}", whole=True)
        user = next(site.serving.store.users())
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
    expect(page.locator("#effect")).to_have_attribute("data-state", "good", timeout=60_000)
    page.wait_for_timeout(SETTLED_MS)


def picture(page: Page, name: str, *, whole: bool = False) -> None:
    """Takes what a window shows, or the whole page, if docs/page.md shows it."""
    if f"img/{name}.png" not in SHOWN_IN.read_text():
        return
    say(name)
    IMAGES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=IMAGES / f"{name}.png", animations="disabled", full_page=whole)


if __name__ == "__main__":
    main()

"""Pictures of every page, of a job on a cluster with real data: `python -m tests.page.screenshots`.

All are in build/screenshots, in both themes and widths, with empty and broken states; those that docs/page.md and the
README show are copied to docs/img.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from threading import Event, Thread

from playwright.sync_api import Browser, Page, expect

from job.cluster import ClusterSpec
from job.deployment.shipping import PROJECT
from job.replay.log_writer import LogLockedError, LogWriter, PartitionWriter, create_log
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
from tests.page.conftest import KEY, Site, find_chromium, recent, site_over

ALL, IMAGES = PROJECT / "build/screenshots", PROJECT / "docs/img"
SHOWN_IN = (PROJECT / "docs/page.md", PROJECT / "README.md")
SIZES = {"": WIDE, "-phone": PHONE}
OLD, NEW = 3_000, 3_000
A_SECOND = 20
EPOCHS = 1
DRILL = Path(".recloop/drill")
LIVE_MS = 15_000
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
                for scheme, (suffix, size) in product(("light", "dark"), SIZES.items()):
                    with seen_at(browser, scheme, size) as page:
                        take(page, site, f"{suffix}-{scheme}")
            with browser_at(find_chromium() or "chromium") as browser:
                take_broken(browser, settings, folder)
        take_empty(folder / "empty")


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


@contextmanager
def seen_at(browser: Browser, scheme: str, size: tuple[int, int]) -> Iterator[Page]:
    with watched(browser, size=size, color_scheme=scheme, device_scale_factor=2 if size == PHONE else 1) as seen:
        yield seen.page


def take(page: Page, site: Site, end: str) -> None:
    """Takes every picture of one theme and width."""
    page.goto(f"{site.page}/")
    expect(page.locator("#job")).to_have_attribute("data-state", "running", timeout=60_000)
    page.wait_for_timeout(LIVE_MS)
    picture(page, f"live{end}", whole=True)
    user = next(site.serving.store.users())
    act(page, site, user)
    picture(page, f"user{end}")
    page.locator("#before summary").click()
    picture(page, f"user-before{end}", whole=True)
    page.goto(f"{site.page}/users")
    picture(page, f"users{end}")
    page.goto(f"{site.page}/what-if")
    for text in () if page.locator("#history li").count() else ("Star Wars", "Toy Story"):
        page.fill("#item", text)
        option = page.locator("#items option").first
        expect(option).to_contain_text(text)
        page.fill("#item", str(option.get_attribute("value")))
        page.locator("#add button").click()
    for side in ("left", "right"):
        expect(page.locator(f"#{side}-list li").first).to_be_visible(timeout=90_000)
    picture(page, f"what-if{end}")
    page.goto(f"{site.page}/tables")
    page.locator("#query button").click()
    expect(page.locator("#result tbody tr").first).to_be_visible()
    picture(page, f"tables{end}")
    page.goto(f"{site.page}/models")
    picture(page, f"models{end}")


def take_broken(browser: Browser, settings: JobSettings, folder: Path) -> None:
    """Takes what people see while the server is down, when a key is asked for, and where there is no page."""
    with seen_at(browser, "light", WIDE) as page, seen_at(browser, "dark", PHONE) as phone:
        with site_over(settings, folder / "broken", keys=KEY) as site:
            for each in (page, phone):
                each.goto(f"{site.page}/")
            picture(page, "sign-in-light")
            picture(phone, "sign-in-phone-dark")
            for each in (page, phone):
                each.fill("#key", KEY)
                each.locator("form.find button").click()
                each.wait_for_timeout(SETTLED_MS)
            page.goto(f"{site.page}/nothing-here")
            picture(page, "nothing-here-light")
            page.goto(f"{site.page}/users/{next(site.serving.store.users())}")
        for each in (page, phone):
            each.wait_for_timeout(SETTLED_MS)
        picture(page, "broken-user-light")
        picture(phone, "broken-live-phone-dark", whole=True)


def take_empty(folder: Path) -> None:
    """Takes what people see where nothing has happened and no job runs."""
    places = {"log.folder": "log", "tables.folder": "tables", "publish.lists_folder": "lists"}
    settings = load(
        overrides=[f"{name}={json.dumps(str(folder / place))}" for name, place in places.items()], needs_model=False
    )
    for name in ("log", "lists"):
        create_log(folder / name, 1)
    with (
        site_over(settings.resolved(), folder) as site,
        browser_at(find_chromium() or "chromium") as browser,
        seen_at(browser, "light", WIDE) as page,
    ):
        for name, path in {"live": "", "user": "users/7", "what-if": "what-if", "models": "models"}.items():
            page.goto(f"{site.page}/{path}")
            page.wait_for_timeout(2 * SETTLED_MS)
            picture(page, f"empty-{name}-light", whole=True)


def act(page: Page, site: Site, user: str) -> None:
    """Clicks on the second item of a user's list, and waits for the list that follows."""
    page.goto(f"{site.page}/users/{user}")
    page.locator('#list li:nth-child(2) button[data-act="click"]').click()
    expect(page.locator("#effect")).to_have_attribute("data-state", "good", timeout=60_000)
    page.wait_for_timeout(SETTLED_MS)


def picture(page: Page, name: str, *, whole: bool = False) -> None:
    """Takes what a window shows, or the whole page; to docs/img too, if they show it."""
    say(name)
    ALL.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=ALL / f"{name}.png", animations="disabled", full_page=whole)
    if any(f"img/{name}.png" in each.read_text() for each in SHOWN_IN):
        shutil.copy(ALL / f"{name}.png", IMAGES)


if __name__ == "__main__":
    main()

"""The page of a real server over a real log, real tables and real lists; the job's functions run in this process."""

import os
import shutil
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import uvicorn

from job.page.compose import page_of
from job.replay.log_writer import LogWriter
from job.serving.app import create_app
from job.serving.serve_settings import serve_settings
from job.serving.serving import Serving, open_serving
from job.settings.job_settings import JobSettings, load
from model.bundles.bundle import Bundle
from model.datasets.prepared import Dataset
from model.records import UserBehavior
from model.registry.registry import Registry
from tests.job.waiting import wait_until
from tests.page.in_process_job import InProcessJob

KEY = "a-key-of-24-characters-x"
BEHAVIORS = 600
PARTITIONS = 4


@dataclass(frozen=True, slots=True)
class Site:
    """A running server.

    Attributes:
        url: of the server; the page is below /page.
        serving: the server's parts.
    """

    url: str
    serving: Serving

    @property
    def page(self) -> str:
        return f"{self.url}/page"


@dataclass(frozen=True, slots=True)
class OwnSite(Site):
    """A running server over lists that a job in this process makes; it may be stopped and started."""

    job: InProcessJob


def recent(dataset: Dataset, count: int) -> Sequence[UserBehavior]:
    """The newest behaviours of a data set, as if one had come a second, the last a minute ago."""
    behaviors = list(dataset.behaviors())[-count:]
    last_ms = int(time.time() * 1000) - 60_000
    return [replace(each, timestamp=last_ms - 1000 * (count - place)) for place, each in enumerate(behaviors, start=1)]


def job_settings(folder: Path, bundle: Bundle) -> JobSettings:
    return load(
        defaults={
            "log": {"folder": folder / "log"},
            "tables": {"folder": folder / "tables"},
            "publish": {"lists_folder": folder / "lists"},
            "scoring": {"bundle": bundle.path},
        }
    ).resolved()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def site_in(folder: Path, bundle: Bundle, behaviors: Sequence[UserBehavior], **given: Any) -> Iterator[OwnSite]:
    """A server over a log with these behaviours, of each of which there is a list."""
    settings = job_settings(folder, bundle)
    with LogWriter(settings.log.folder, PARTITIONS) as log:
        log.append(behaviors)
    job = InProcessJob(settings, folder / "lists")
    job.drain()
    job.start()
    try:
        with site_over(settings, folder, **given) as site:
            yield OwnSite(site.url, site.serving, job)
    finally:
        job.close()


@contextmanager
def site_over(settings: JobSettings, folder: Path, **given: Any) -> Iterator[Site]:
    """A server of a job; it has read all lists that were there."""
    places = {name: folder / name for name in ("store", "cluster", "drill")}
    options = serve_settings(**{"port": free_port(), "registry": str(folder / "registry"), **places, **given})
    with open_serving(settings, options) as serving:
        app = create_app(serving, page=page_of(serving))
        with served(app, options.port):
            wait_until(lambda: not serving.follower.state().behind, timeout_s=60, what="the follower has caught up")
            yield Site(f"http://127.0.0.1:{options.port}", serving)


@contextmanager
def served(app: Any, port: int) -> Iterator[None]:
    """An application behind uvicorn, in a thread."""
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="error", timeout_graceful_shutdown=1))
    thread = Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started, timeout_s=60, what="the server answers")
        yield
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="package")
def site(ml_100k: Dataset, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnSite]:
    """The server that most tests of this folder share, without keys.

    It ends with them: other tests take the process's rights or its open files away, which its threads would not bear.
    """
    folder = tmp_path_factory.mktemp("site")
    registry = Registry(str(folder / "registry"))
    registry.promote("ml-100k", registry.register(bundle.path, "ml-100k").id)
    with site_in(folder, bundle, recent(ml_100k, BEHAVIORS)) as running:
        yield running


def find_chromium() -> str | None:
    """The path of the browser: of RECLOOP_CHROMIUM, or on PATH; `make browser` installs Debian's where it may."""
    names = (os.environ.get("RECLOOP_CHROMIUM", "chromium"), "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


@pytest.fixture(scope="session")
def chromium() -> str:
    if (found := find_chromium()) is None:
        pytest.skip("no Chromium: install the package chromium, or set RECLOOP_CHROMIUM")
    return found

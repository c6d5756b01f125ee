"""The demonstration's page: while somebody watches, or beside the cluster for as long as that runs."""

import sys
from collections.abc import Callable
from contextlib import suppress

import httpx

from job.cluster import RunningCluster
from job.cluster.ports import port_is_free
from job.demo import DemoError, Folders, places
from job.settings.job_settings import load
from model.waiting import wait_until

_HOST = "127.0.0.1"
_PORTS = range(8080, 8100)
_NAME = "serve"
_STARTED_S = 120.0


def serve_page(folders: Folders, on_ready: Callable[[str], None]) -> None:
    """Serve the lists and the page until Ctrl-C.

    Args:
        folders: those of a demonstration whose job runs.
        on_ready: called with the page's address once it can be opened.

    Raises:
        DemoError: what the server needs is not installed, or no port is free.
        ServingError: the server cannot start.
    """
    check_installed()
    from job.page.compose import page_of
    from job.serving.running import run
    from job.serving.serve_settings import serve_settings

    port = _free_port()
    job = load(overrides=places(folders)).resolved()
    settings = serve_settings(host=_HOST, port=port, store=folders.serving, cluster=folders.cluster)
    with suppress(KeyboardInterrupt):  # uvicorn has ended in order then, and hands the signal on
        run(job, settings, page=page_of, on_ready=lambda _: on_ready(_address(port)))


def keep_page(cluster: RunningCluster, folders: Folders) -> str:
    """Have the cluster's supervisor run `recloop serve` until the cluster is stopped, and return the page's address.

    Raises:
        DemoError: what the server needs is not installed, no port is free, or it did not answer.
    """
    check_installed()
    port = _free_port()
    sets = [word for each in places(folders) for word in ("--set", each)]
    options = ["--host", _HOST, "--port", str(port), "--store", str(folders.serving), "--dir", str(folders.cluster)]
    cluster.supervise(_NAME, [sys.executable, "-m", "job.cli", "serve", *options, *sets])
    if not wait_until(lambda: _answers(port), timeout_s=_STARTED_S, poll_s=0.2):
        msg = f"the page's server did not answer within {_STARTED_S:g} s: look at {cluster.layout.log(_NAME)}"
        raise DemoError(msg)
    return _address(port)


def check_installed() -> None:
    """Return if the server can be imported.

    Raises:
        DemoError: it cannot; the text names what is missing.
    """
    try:
        # Imported here: they need the extra `serve`, and the `recloop` command starts without them.
        import job.page.compose
        import job.serving.running  # noqa: F401
    except ModuleNotFoundError as error:
        msg = f"{error.name} is not installed: pip install 'recloop[serve]'"
        raise DemoError(msg) from error


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://{_HOST}:{port}/healthz").is_success
    except httpx.HTTPError:
        return False


def _address(port: int) -> str:
    return f"http://{_HOST}:{port}/page/"


def _free_port() -> int:
    port = next((each for each in _PORTS if port_is_free(each)), None)
    if port is None:
        msg = f"no port from {_PORTS.start} to {_PORTS.stop - 1} is free for the page"
        raise DemoError(msg)
    return port

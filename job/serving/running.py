"""A server process: uvicorn with one application, until Ctrl-C or SIGTERM."""

import asyncio
import logging
import math
import socket
import time
from collections.abc import Callable

import uvicorn

from job.serving.app import MountedPage, create_app
from job.serving.errors import ServingError
from job.serving.serve_settings import ServeSettings
from job.serving.serving import Serving, open_serving
from job.settings.job_settings import JobSettings

_POLL_S = 0.1
_GRACE_S = 2
"""Seconds that answers under way, such as streams of events, have to end."""


def run(
    job: JobSettings,
    settings: ServeSettings,
    *,
    page: Callable[[Serving], MountedPage] | None = None,
    on_ready: Callable[[str], None],
    seconds: float | None = None,
) -> None:
    """Serve until the process is interrupted, or for so many seconds.

    Args:
        job: the job's settings, resolved.
        settings: the server's.
        page: makes the page for people.
        on_ready: called with a sentence once requests are answered.
        seconds: after which it ends by itself.

    Raises:
        ServingError: the address is taken, or something of `open_serving`.
    """
    # Bound first: a second server says so, before it asks for the store.
    with _bound(settings) as listening, open_serving(job, settings) as serving:
        mounted = None if page is None else page(serving)
        config = uvicorn.Config(
            create_app(serving, page=mounted),
            log_level=logging.WARNING,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
            timeout_graceful_shutdown=_GRACE_S,
        )

        def on_end() -> None:
            serving.events.finish()
            if mounted is not None:
                mounted.end_streams()

        asyncio.run(_serve(uvicorn.Server(config), listening, settings, on_ready, seconds, on_end))


async def _serve(
    server: uvicorn.Server,
    listening: socket.socket,
    settings: ServeSettings,
    on_ready: Callable[[str], None],
    seconds: float | None,
    on_end: Callable[[], None],
) -> None:
    task = asyncio.ensure_future(server.serve(sockets=[listening]))
    while not server.started and not task.done():
        await asyncio.sleep(0.01)
    if server.started:
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        address = f"{'https' if settings.tls_certificate else 'http'}://{host}:{listening.getsockname()[1]}"
        on_ready(f"Serving at {address}; the page is {address}/page/. Ctrl-C ends it.")
    ends_at = math.inf if seconds is None else time.monotonic() + seconds
    while not task.done():
        await asyncio.wait((task,), timeout=min(_POLL_S, max(0.0, ends_at - time.monotonic())))
        server.should_exit = server.should_exit or time.monotonic() >= ends_at
        if server.should_exit:
            on_end()  # uvicorn waits for streams, and would break them off with a traceback
            break
    await task


def _bound(settings: ServeSettings) -> socket.socket:
    """Return a socket that listens.

    Raises:
        ServingError: the address cannot be had.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((settings.host, settings.port))
    except OSError as error:
        listening.close()
        msg = f"{settings.host}:{settings.port} cannot be listened at ({error.strerror}): give another --port or --host"
        raise ServingError(msg) from error
    return listening

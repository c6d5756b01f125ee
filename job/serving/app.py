"""The application: routes, the guard before them, and problems in place of errors."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import partial
from typing import Protocol

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from job.serving import problems
from job.serving.guard import OPEN_PATHS, Guard, Keys, RateLimit
from job.serving.openapi import describe
from job.serving.quick_read import QuickRead
from job.serving.routes import DEFAULT_N, LISTS_PATH, router
from job.serving.serving import Serving
from model.errors import RecloopError

_LOCAL = ("localhost", "127.0.0.1", "[::1]")
_TITLE = "recloop"
_DESCRIPTION = "Recommendation lists, moments after each behaviour."


class MountedPage(Protocol):
    """The page for people, an application of its own below /page."""

    @property
    def app(self) -> ASGIApp:
        """The application."""

    def end_streams(self) -> None:
        """End the streams of events, as the server is about to end and waits for them."""

    def running(self) -> AbstractAsyncContextManager[None]:
        """Have what the page follows followed, while the block runs."""


def create_app(serving: Serving, *, page: MountedPage | None = None) -> FastAPI:
    """Return the ASGI application of an open server.

    Args:
        serving: from `open_serving`; it has to stay open while the application runs.
        page: the page for people.

    Raises:
        ServingError: an API key is too short, or their file cannot be read.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        serving.events.begin()
        async with nullcontext() if page is None else page.running():
            yield
        serving.events.end()

    app = FastAPI(
        title=_TITLE,
        description=_DESCRIPTION,
        version="1",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.serving = serving
    app.include_router(router)
    if page is not None:
        app.mount("/page", page.app)
    keys = Keys(serving.settings.read_keys())
    _add_guard(app, serving, keys)
    actions = serving.job.actions.keys()
    document = partial(describe, app, keyed=bool(keys), open_paths=OPEN_PATHS, actions=actions)
    app.openapi = document  # type: ignore[method-assign]  # FastAPI's way to replace it
    return app


def _add_guard(app: FastAPI, serving: Serving, keys: Keys) -> None:
    """Put the guard before all routes, and problems in place of errors."""
    app.add_exception_handler(problems.Problem, problems.answer_problem)
    app.add_exception_handler(RequestValidationError, problems.answer_invalid)
    app.add_exception_handler(HTTPException, problems.answer_http)
    app.add_exception_handler(RecloopError, problems.answer_unavailable)
    app.add_exception_handler(Exception, problems.answer_fault)
    settings = serving.settings
    names = {*_LOCAL, settings.host.lower(), f"[{settings.host.lower()}]", *map(str.lower, settings.host_names)}
    app.add_middleware(
        Guard,
        quick=QuickRead(serving, LISTS_PATH, DEFAULT_N),
        keys=keys,
        limit=RateLimit(settings.rate, settings.burst),
        hosts=frozenset(names),
        body_bytes=settings.body_bytes,
        meters=serving.meters,
    )

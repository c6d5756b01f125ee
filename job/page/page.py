"""The page as an ASGI application, to be mounted below /page of the server."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from job.page.access import HEADERS, is_own, is_signed_in
from job.page.answers import page_answer, problem_answer
from job.page.backend import Backend, PagePlaces
from job.page.helper import HelperProcess
from job.page.hub import Hub
from job.page.model_routes import ModelRoutes
from job.page.sign_in import SignInRoutes
from job.page.sql_routes import SqlRoutes
from job.page.user_routes import UserRoutes
from job.page.what_if_routes import WhatIfRoutes
from job.settings.job_settings import JobSettings
from model.errors import RecloopError

_STATIC = Path(__file__).parent / "static"
_OPEN = ("/static", "/sign-in")
"""What everybody may load: it shows nothing of anybody."""
_SAFE = frozenset({"GET", "HEAD"})


class Page:
    """The page: its routes, its hub and its helper processes.

    Attributes:
        app: the application; it knows by its mount where it is.
    """

    def __init__(self, backend: Backend, places: PagePlaces) -> None:
        keys, settings = places.keys, places.settings
        self._tables = None if places.tables is None else _tables_helper(places.tables, settings)
        self._models = _what_if_helper(places)
        self._hub = Hub(backend, places, self._tables)
        kinds = {name: action.kind.value for name, action in settings.actions.items()}
        parts = (
            SignInRoutes(keys),
            UserRoutes(backend, self._hub, kinds, variants=len(settings.models.variants)),
            WhatIfRoutes(self._models, list(kinds)),
            SqlRoutes(self._tables),
            ModelRoutes(places.registry, self._models, keys),
        )
        routes = [route for part in parts for route in part.routes()]
        static = Mount("/static", StaticFiles(directory=_STATIC))
        handlers: dict[int | type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
            HTTPException: _refused,
            RecloopError: _failed,
        }
        app = Starlette(routes=[*routes, static], exception_handlers=handlers)
        self.app: ASGIApp = _Guarded(app, keys)

    def end_streams(self) -> None:
        """End the streams of events, as a server waits for them before it ends; call it in the event loop."""
        self._hub.end_streams()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follow changes during the block, and end the helpers after it."""
        async with AsyncExitStack() as stack:
            for helper in filter(None, (self._tables, self._models)):
                stack.push_async_callback(helper.close)
            await stack.enter_async_context(self._hub.running())
            yield


class _Guarded:
    """The application behind its headers, its sign-in, and the check that a change is asked for by this page."""

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self._app = app
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message["headers"], *own]
                # Scripts are asked for again, as a newer server may have others; mostly the answer is "not modified".
                stored = b"no-cache" if path.startswith("/static") else b"no-store"
                message["headers"].append((b"cache-control", stored))
            await send(message)

        path = _path(scope)
        refusal = self._refusal(Request(scope), path) if scope["type"] == "http" else None
        await (refusal or self._app)(scope, receive, with_headers)

    def _refusal(self, request: Request, path: str) -> Response | None:
        if request.method not in _SAFE and not is_own(request):
            return problem_answer(403, "this was asked for by another site")
        if path.startswith(_OPEN) or is_signed_in(request, self._keys):
            return None
        if "text/html" not in request.headers.get("accept", ""):
            return problem_answer(401, "sign in first: load the page again")
        return RedirectResponse(f"{request.scope.get('root_path', '')}/sign-in", 303)


def _path(scope: Scope) -> str:
    """Return the path below the mount."""
    return str(scope["path"]).removeprefix(str(scope.get("root_path", "")))


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if "text/html" in request.headers.get("accept", ""):
        title = "Not here" if error.status_code == 404 else "Not like this"
        sentence = "There is no such page." if error.status_code == 404 else error.detail
        return page_answer(request, "error.html", error.status_code, title=title, sentence=sentence)
    return problem_answer(error.status_code, error.detail)


async def _failed(request: Request, error: Exception) -> Response:
    sentence = " ".join(str(error).split())
    if "text/html" in request.headers.get("accept", ""):
        return page_answer(request, "error.html", 503, title="Not now", sentence=sentence)
    return problem_answer(422, sentence)


def _tables_helper(tables: Path, settings: JobSettings) -> HelperProcess:
    config = {"tables": str(tables), "settings": settings.model_dump(mode="json")}
    return HelperProcess("job.page.tables_helper", config)


def _what_if_helper(places: PagePlaces) -> HelperProcess:
    config = {
        "settings": places.settings.model_dump(mode="json"),
        "registry": places.registry,
        "folder": None if places.bundle is None else str(places.bundle),
        "cache": str(places.cache),
    }
    return HelperProcess("job.page.what_if_helper", config)

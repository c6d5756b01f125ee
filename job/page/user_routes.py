"""Live, and a user: pages, streams of events, and the behaviours that buttons send."""

import time
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import uuid4

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from job.page.answers import event_stream, json_answer, page_answer, read_body
from job.page.backend import Backend
from job.page.hub import Hub
from job.page.views import Shown, behavior_view, list_view

_HISTORY = 30
_MOST_ITEMS = 12
_LONGEST_ID = 256


class _Behavior(msgspec.Struct, forbid_unknown_fields=True):
    user_id: Annotated[str, msgspec.Meta(min_length=1, max_length=_LONGEST_ID)]
    action: Annotated[str, msgspec.Meta(min_length=1, max_length=_LONGEST_ID)]
    item_id: Annotated[str, msgspec.Meta(min_length=1, max_length=_LONGEST_ID)]


class UserRoutes:
    """Live and the pages of users."""

    def __init__(self, backend: Backend, hub: Hub, kinds: Mapping[str, str], *, variants: int) -> None:
        """Take what they show.

        Args:
            backend: the server.
            hub: the live state.
            kinds: action -> its kind.
            variants: the number of variants of the A/B test.
        """
        self._backend = backend
        self._hub = hub
        self._kinds = kinds
        self._variants = variants

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/", self.live),
            Route("/users", self.users),
            Route("/users/{user_id:path}", self.user),
            Route("/user", self.user_data),
            Route("/events", self.events),
            Route("/items", self.items),
            Route("/behaviors", self.send, methods=["POST"]),
        ]

    async def live(self, request: Request) -> Response:
        """Show Live; its script fills it."""
        return page_answer(request, "live.html", page="/")

    async def users(self, request: Request) -> Response:
        """Ask for a user's id, or show the user whose id is in the query."""
        if user_id := request.query_params.get("id", "").strip():
            return self._page(request, user_id)
        return page_answer(request, "users.html", page="/users", recent=self._hub.recent_users)

    async def user(self, request: Request) -> Response:
        """Show a user."""
        return self._page(request, request.path_params["user_id"])

    async def user_data(self, request: Request) -> Response:
        """Return a user's list and behaviours."""
        return json_answer(self._data(_checked(request.query_params.get("id", ""))))

    async def events(self, request: Request) -> Response:
        """Stream what happens, of everybody or of one user."""
        user_id = request.query_params.get("user")
        return event_stream(self._hub.live() if user_id is None else self._hub.of_user(_checked(user_id)))

    async def items(self, request: Request) -> Response:
        """Return items that match a text."""
        text = request.query_params.get("text", "")[:_LONGEST_ID]
        found = self._backend.search(text, _MOST_ITEMS) if text else ()
        return json_answer({"items": [{"item_id": item, "title": self._backend.title(item)} for item in found]})

    async def send(self, request: Request) -> Response:
        """Append a behaviour to the log, and return its place."""
        given = await read_body(request, _Behavior)
        now_ms = int(time.time() * 1000)
        behavior = {**msgspec.to_builtins(given), "timestamp": now_ms, "event_id": f"page-{uuid4().hex}"}
        place = await self._backend.append(behavior)
        return json_answer({**place._asdict(), "at": now_ms}, 202)

    def _page(self, request: Request, user_id: str) -> Response:
        actions = [{"name": name, "kind": kind} for name, kind in self._kinds.items()]
        data = {"user": _checked(user_id), "actions": actions, "variants": self._variants, **self._data(user_id)}
        return page_answer(
            request, "user.html", page="/users", user=user_id, actions=list(self._kinds), data=_plain(data)
        )

    def _data(self, user_id: str) -> Shown:
        current = self._backend.list_of(user_id)
        before = self._backend.list_before(user_id) if current else None
        row = current or self._backend.fallback(user_id)
        behaviors = self._backend.behaviors_of(user_id, _HISTORY)
        return {
            "list": list_view(row, self._backend),
            "before": None if before is None else list_view(before, self._backend),
            "behaviors": [behavior_view(each, self._backend) for each in behaviors],
        }


def _checked(user_id: str) -> str:
    """Return the id.

    Raises:
        HTTPException: no user can have it.
    """
    if not 1 <= len(user_id.encode(errors="surrogatepass")) <= _LONGEST_ID:
        raise HTTPException(404, "an id has 1 to 256 bytes")
    return user_id


def _plain(value: Any) -> Any:
    """Return a value in types that JSON has."""
    return msgspec.json.decode(json_answer(value).body)

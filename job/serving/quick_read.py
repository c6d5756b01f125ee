"""A short way for the most frequent request: a user's list, with no more than n= said.

FastAPI takes several times as long to find out what a request says as it takes to read a list. All other forms of
the request go its way, to the same answer.
"""

import re
from typing import Any, NoReturn

import msgspec
from starlette.datastructures import URLPath
from starlette.routing import BaseRoute, Match, NoMatchFound
from starlette.types import Receive, Scope, Send

from job.serving.serving import Serving
from model.ids import MAX_ID_BYTES

_BEGIN, _END = "/users/", "/recommendations"
_QUERY = re.compile(rb"(?:n=([1-9][0-9]{0,2}))?")
_encode = msgspec.json.Encoder().encode


class QuickRead(BaseRoute):
    """The route of lists, where a request has the simplest form.

    Attributes:
        path: of the route whose requests it takes, by which they are counted.
    """

    def __init__(self, serving: Serving, path: str, default_n: int) -> None:
        self.path = path
        self._serving = serving
        self._default_n = default_n

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return a full match for a request of the simplest form, and none for others."""
        path: str = scope.get("path", "")
        if scope["type"] != "http" or scope["method"] != "GET":
            return Match.NONE, {}
        if not path.endswith(_END) or not path.startswith(_BEGIN):
            return Match.NONE, {}
        asked = _QUERY.fullmatch(scope["query_string"])
        user_id = path[len(_BEGIN) : -len(_END)]
        if asked is None or not 0 < len(user_id) <= MAX_ID_BYTES:
            return Match.NONE, {}
        n = self._default_n if asked[1] is None else int(asked[1])
        return Match.FULL, {"route": self, "recloop.asked": (user_id, n)}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Refuse: the route has no name."""
        return _refuse(name, path_params)

    async def handle(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer with the list."""
        user_id, n = scope["recloop.asked"]
        body = _encode(self._serving.recommend(user_id, n=n))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})


def _refuse(name: str, path_params: dict[str, Any]) -> NoReturn:
    raise NoMatchFound(name, path_params)

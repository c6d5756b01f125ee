"""A short way for the most frequent request: a user's list, with no more than n= said.

FastAPI and its routing take several times as long to find out what a request says as it takes to read a list. The guard
asks here first; all other forms of the request go FastAPI's way, to the same answer.
"""

import re
from typing import NamedTuple

import msgspec
from starlette.types import Scope, Send

from job.serving.serving import Serving
from model.ids import MAX_ID_BYTES
from model.records import UserId

_BEGIN, _END = "/users/", "/recommendations"
_QUERY = re.compile(rb"(?:n=([1-9][0-9]{0,2}))?")
_encode = msgspec.json.Encoder().encode


class Asked(NamedTuple):
    """A request of the simplest form: whose list, and how many items of it."""

    user_id: UserId
    n: int


class QuickRead:
    """The short way to lists.

    Attributes:
        path: of the route whose requests it takes, by which they are counted.
    """

    def __init__(self, serving: Serving, path: str, default_n: int) -> None:
        self.path = path
        self._serving = serving
        self._default_n = default_n

    def find(self, scope: Scope) -> Asked | None:
        """Return what a request of the simplest form asks for; None for all others."""
        path: str = scope["path"]
        if scope["method"] != "GET" or not path.endswith(_END) or not path.startswith(_BEGIN):
            return None
        asked = _QUERY.fullmatch(scope["query_string"])
        user_id = path[len(_BEGIN) : -len(_END)]
        if asked is None or not 0 < len(user_id) <= MAX_ID_BYTES:
            return None
        return Asked(user_id, self._default_n if asked[1] is None else int(asked[1]))

    async def answer(self, scope: Scope, asked: Asked, send: Send) -> None:
        """Answer with the list."""
        scope["route"] = self
        body = _encode(self._serving.recommend(asked.user_id, n=asked.n))
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

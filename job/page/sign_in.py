"""Signing in with a key, and out again."""

import asyncio
import time
from collections.abc import Sequence
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from job.page.access import COOKIE, SIGNED_IN_S, cookie_for, is_key
from job.page.answers import page_answer, read_bounded

_WRONG_KEY_S = 1.0
"""The wait after a wrong key, so that nobody tries many."""


class SignInRoutes:
    """The form that asks for a key, and the cookie that follows."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = keys

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/sign-in", self.form, methods=["GET"]),
            Route("/sign-in", self.sign_in, methods=["POST"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
        ]

    async def form(self, request: Request) -> Response:
        """Ask for a key."""
        return page_answer(request, "sign_in.html", refused="")

    async def sign_in(self, request: Request) -> Response:
        """Check the key, and give a cookie that no script can read."""
        fields = parse_qs((await read_bounded(request)).decode(errors="replace"))
        key = is_key(fields.get("key", [""])[0], self._keys)
        if key is None:
            await asyncio.sleep(_WRONG_KEY_S)
            return page_answer(request, "sign_in.html", 401, refused="The server does not know this key.")
        root = request.scope.get("root_path", "")
        answer = RedirectResponse(f"{root}/", 303)
        secure = request.url.scheme == "https"
        cookie = cookie_for(key, time.time())
        answer.set_cookie(
            COOKIE, cookie, SIGNED_IN_S, path=root or "/", secure=secure, httponly=True, samesite="strict"
        )
        return answer

    async def sign_out(self, request: Request) -> Response:
        """Take the cookie away."""
        root = request.scope.get("root_path", "")
        answer = RedirectResponse(f"{root}/sign-in", 303)
        answer.delete_cookie(COOKIE, path=root or "/")
        return answer

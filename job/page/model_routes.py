"""Models: the registry, and its pointers, which move for those alone who give a key."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from job.page.access import is_key
from job.page.answers import json_answer, page_answer, read_body
from job.page.helper import HelperProcess
from job.page.registry_view import read_registry

_KEY = "x-recloop-key"
_TIMEOUT_S = 120.0
"""A promotion tries the model first, which may have to wait for torch."""
_WRONG_KEY_S = 1.0
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class _Move(msgspec.Struct):
    model: _Name
    version: _Name | None = None


class ModelRoutes:
    """The page, and the moves it asks for."""

    def __init__(self, registry: str | None, models: HelperProcess, keys: Sequence[str]) -> None:
        self._registry = registry
        self._models = models
        self._keys = keys

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/models", self.show),
            Route("/models/promote", self.promote, methods=["POST"]),
            Route("/models/rollback", self.rollback, methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        """Show the registry."""
        if self._registry is None:
            found: dict[str, Any] = {"problem": "This server was started without a registry."}
        else:
            found = await asyncio.to_thread(read_registry, self._registry)
        values: dict[str, Any] = {"place": None, "models": [], "problem": None, "page": "/models", **found}
        return page_answer(request, "models.html", may_move=bool(self._keys), **values)

    async def promote(self, request: Request) -> Response:
        """Make a version current."""
        move = await self._allowed(request)
        if move.version is None:
            raise HTTPException(422, "say which version")
        await self._models.ask("promote", timeout_s=_TIMEOUT_S, model=move.model, version=move.version)
        return json_answer({})

    async def rollback(self, request: Request) -> Response:
        """Make the version current again that was before the last promotion."""
        move = await self._allowed(request)
        await self._models.ask("rollback", timeout_s=_TIMEOUT_S, model=move.model)
        return json_answer({})

    async def _allowed(self, request: Request) -> _Move:
        """Return the move that is asked for.

        Raises:
            HTTPException: the key is missing or wrong, or nobody may move pointers here.
        """
        move = await read_body(request, _Move)
        if not self._keys:
            raise HTTPException(403, "this server was started without a key: nobody moves pointers here")
        if is_key(request.headers.get(_KEY, ""), self._keys) is None:
            await asyncio.sleep(_WRONG_KEY_S)
            raise HTTPException(401, "the server does not know this key")
        return move

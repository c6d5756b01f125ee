"""The what-if: a history by hand, and the lists that bundles make of it."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from job.page.answers import json_answer, page_answer, read_body
from job.page.errors import PageError
from job.page.helper import HelperProcess

_TIMEOUT_S = 60.0
"""The first list of a model waits for torch and for the model to load."""
_ID = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class _Act(msgspec.Struct, forbid_unknown_fields=True):
    action: _ID
    item_id: _ID


class _Question(msgspec.Struct, forbid_unknown_fields=True):
    bundle: Annotated[str, msgspec.Meta(max_length=600)]
    history: Annotated[list[_Act], msgspec.Meta(min_length=1, max_length=200)]


class WhatIfRoutes:
    """The page, and the lists it asks for."""

    def __init__(self, models: HelperProcess, actions: Sequence[str]) -> None:
        self._models = models
        self._actions = actions

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [Route("/what-if", self.form), Route("/what-if", self.make_list, methods=["POST"])]

    async def form(self, request: Request) -> Response:
        """Show the page, with the bundles there are."""
        try:
            found = await self._models.ask("bundles", timeout_s=_TIMEOUT_S)
        except PageError:
            found = []  # a registry that cannot be read is the models page's to explain
        bundles = [{"value": msgspec.json.encode(each["choice"]).decode(), "name": _name(each)} for each in found]
        # Two lists of one version would be the same: the second is of another one, if there is one.
        other = next((place for place, each in enumerate(found) if each["version"] != found[0]["version"]), 0)
        values: dict[str, Any] = {"bundles": bundles, "other": other, "actions": self._actions}
        return page_answer(request, "what_if.html", page="/what-if", **values)

    async def make_list(self, request: Request) -> Response:
        """Return the list of one bundle."""
        question = await read_body(request, _Question)
        try:
            bundle = msgspec.json.decode(question.bundle, type=dict[str, str | None])
        except msgspec.DecodeError as error:
            raise HTTPException(422, "there is no such bundle: load the page again") from error
        history = msgspec.to_builtins(question.history)
        return json_answer(await self._models.ask("list", timeout_s=_TIMEOUT_S, bundle=bundle, history=history))


def _name(bundle: dict[str, Any]) -> str:
    model = bundle["choice"]["model"]
    return f"{'the server’s bundle,' if model is None else model} {bundle['version']}"

"""Requests and answers of the page: bounded bodies in, pages, JSON and streams of events out."""

from collections.abc import AsyncIterator
from typing import Any, TypeVar

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse

from job.page.access import COOKIE
from job.tables.formats import Values

_LONGEST_BODY = 64 << 10
_Body = TypeVar("_Body")
_templates = Environment(
    loader=PackageLoader("job.page"),
    autoescape=select_autoescape(default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page_answer(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a rendered template; every value in it is text, never markup."""
    root = request.scope.get("root_path", "")
    shown = {"root": root, "static": f"{root}/static", "page": None, "signed_in": COOKIE in request.cookies, **values}
    return HTMLResponse(_templates.get_template(template).render(shown), status)


def json_answer(value: Any, status: int = 200) -> Response:
    """Return a value as JSON; numbers that JSON lacks become text."""
    content = msgspec.json.encode(Values().plain(msgspec.to_builtins(value)))
    return Response(content, status, media_type="application/json")


def problem_answer(status: int, sentence: str) -> Response:
    """Return a problem as RFC 9457 has it; the sentence is for people."""
    content = msgspec.json.encode({"status": status, "title": sentence, "detail": sentence})
    return Response(content, status, media_type="application/problem+json")


def event_stream(events: AsyncIterator[tuple[str, Any]]) -> StreamingResponse:
    """Return server-sent events."""

    async def lines() -> AsyncIterator[bytes]:
        async for name, data in events:
            yield b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(data))

    return StreamingResponse(lines(), media_type="text/event-stream")


async def read_body(request: Request, kind: type[_Body]) -> _Body:
    """Read a request's JSON.

    Raises:
        HTTPException: it is too long, of another type, or not what is asked for.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        raise HTTPException(415, "send JSON")
    body = await read_bounded(request)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise HTTPException(422, f"not what is asked for: {error}") from error


async def read_bounded(request: Request) -> bytes:
    """Read a request's body.

    Raises:
        HTTPException: it is longer than 64 KiB.
    """
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST_BODY:
            raise HTTPException(413, "that is too long: 64 KiB at most")
    return bytes(body)

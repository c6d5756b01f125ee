"""The API's routes."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Annotated, Any, TypeVar

import msgspec
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from job.serving import answers
from job.serving.answers import Batch, BehaviorIn, Behaviors, CatalogueItem, Health, Items, SeenBehavior
from job.serving.health import health
from job.serving.history import KEPT, Place
from job.serving.meters import metrics_text
from job.serving.openapi import answered_with, read_back, request_of
from job.serving.problems import Problem
from job.serving.serving import Serving
from model.ids import MAX_ID_BYTES
from model.records import ItemId
from udfs.elements import LoggedBehavior

router = APIRouter()
LISTS_PATH = "/users/{user_id:path}/recommendations"
DEFAULT_N = 10
_JSON = "application/json"
_MOST_ITEMS = 1_000
_LONGEST_WAIT_MS = 5_000
_PING_S = 15.0
_encode = msgspec.json.Encoder().encode
_Struct = TypeVar("_Struct")

_UserId = Annotated[str, Path(min_length=1, max_length=MAX_ID_BYTES, description="the user")]
_ItemId = Annotated[str, Path(min_length=1, max_length=MAX_ID_BYTES, description="the item")]
_Count = Annotated[int, Query(ge=1, le=_MOST_ITEMS, description="how many at most")]
_After = Annotated[
    str | None, Query(pattern=r"^\d{1,6}:\d{1,18}$", description="PARTITION:OFFSET that the list should have seen")
]
_WaitMs = Annotated[int, Query(ge=0, le=_LONGEST_WAIT_MS, description="how long to wait for that, ms")]
_Exclude = Annotated[list[str] | None, Query(max_length=_MOST_ITEMS, description="an item not to be shown; repeatable")]


def _serving(request: Request) -> Serving:
    serving: Serving = request.app.state.serving
    return serving


def _json(answer: Any, status: int = 200) -> Response:
    return Response(_encode(answer), status, media_type=_JSON)


@router.get(LISTS_PATH, responses=answered_with(answers.Recommendations))
async def recommendations(
    request: Request,
    user_id: _UserId,
    n: _Count = DEFAULT_N,
    exclude: _Exclude = None,
    after: _After = None,
    wait_ms: _WaitMs = 200,
) -> Response:
    """Return a user's list as it may be shown now; a user without one gets what is trending, then popular.

    With after=, the answer waits until the list has seen that behaviour, and says in `stale` if it has not.
    """
    serving = _serving(request)
    if after is None:
        return _json(serving.recommend(user_id, n=n, exclude=exclude or ()))
    partition, offset = map(int, after.split(":"))
    seen = await serving.has_seen(user_id, Place(partition, offset), wait_ms / 1000)
    answer = serving.recommend(user_id, n=n, exclude=exclude or ())
    return _json(msgspec.structs.replace(answer, stale=not seen))


@router.post(
    "/behaviors",
    status_code=202,
    responses=answered_with(answers.Accepted, status=202, links=read_back("recommendations")),
    openapi_extra=request_of(BehaviorIn, Batch),
)
async def behaviors(request: Request) -> Response:
    """Append a behaviour, or a batch of them, to the log; all or none are taken, and 202 says where they are.

    An event_id that is there is not appended again. An impression may leave out item_id: it stands for all that was
    served under its request_id.
    """
    serving = _serving(request)
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type != _JSON:
        raise Problem(415, f"send the behaviours as {_JSON}")
    body = await request.body()
    sent = _decoded(body)
    if not sent:
        raise Problem(422, "behaviors is empty: send one at least")
    if len(sent) > serving.settings.batch:
        raise Problem(413, f"{len(sent)} behaviours in one request: send {serving.settings.batch} at most")
    return _json(await serving.take.take(sent), 202)


@router.get("/users/{user_id:path}/behaviors", responses=answered_with(Behaviors))
async def behaviors_of(
    request: Request, user_id: _UserId, n: Annotated[int, Query(ge=1, le=KEPT, description="how many at most")] = 20
) -> Response:
    """Return a user's newest behaviours that the job applies, newest first."""
    serving = _serving(request)
    found = serving.store.behaviors_of(user_id)[:n]
    return _json(Behaviors(user_id=user_id, behaviors=[_seen(each, serving) for each in found]))


@router.get("/items/{item_id:path}/similar", responses=answered_with(Items))
async def similar(request: Request, item_id: _ItemId, n: _Count = 10) -> Response:
    """Return the items nearest to an item by the bundle, without withdrawn ones."""
    serving = _serving(request)
    if not serving.catalogue.knows(item_id):
        raise Problem(404, "the bundle does not have this item" if serving.catalogue.version else "no bundle is served")
    withdrawn = serving.rules.withdrawn()
    found = [near for near in serving.catalogue.similar(item_id, n) if near not in withdrawn]
    return _json(Items(items=[_item(each, serving) for each in found]))


@router.get("/trending", responses=answered_with(Items))
async def trending(request: Request, n: _Count = 10) -> Response:
    """Return what is trending, strongest first."""
    serving = _serving(request)
    return _json(Items(items=[_item(item_id, serving, strength) for item_id, strength in serving.trending(n)]))


@router.get("/healthz", responses=answered_with(Health))
async def healthz(request: Request) -> Response:
    """Return that the server runs, and the follower's progress."""
    return _json(_health(request))


@router.get("/readyz", responses=answered_with(Health) | {503: answered_with(Health)[200]})
async def readyz(request: Request) -> Response:
    """Return 200 if what is served is up to date, and 503 with the reason if it is not."""
    found = _health(request)
    return _json(found, 200 if found.ok else 503)


@router.get("/metrics", responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """Return the server's counts in Prometheus's text format."""
    serving = _serving(request)
    return PlainTextResponse(metrics_text(serving.meters, serving.follower, int(time.time() * 1000)))


@router.get("/events", responses={200: {"content": {"text/event-stream": {}}}})
async def events(request: Request) -> Response:
    """Stream new lists, behaviours and dead letters as server-sent events."""
    return _stream(_serving(request), None)


@router.get("/users/{user_id:path}/events", responses={200: {"content": {"text/event-stream": {}}}})
async def events_of(request: Request, user_id: _UserId) -> Response:
    """Stream a user's new lists and behaviours as server-sent events."""
    return _stream(_serving(request), user_id)


def _decoded(body: bytes) -> list[BehaviorIn]:
    """Return the behaviours of a body: one, or a batch.

    Raises:
        Problem: it is neither.
    """
    try:
        fields = msgspec.json.decode(body)
        if isinstance(fields, dict) and "behaviors" in fields:
            return msgspec.convert(fields, Batch).behaviors
        return [msgspec.convert(fields, BehaviorIn)]
    except msgspec.ValidationError as error:
        raise Problem(422, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, f"the body is no JSON: {error}") from error


def _health(request: Request) -> Health:
    return health(_serving(request).follower.state(), int(time.time() * 1000))


def _seen(behavior: LoggedBehavior, serving: Serving) -> SeenBehavior:
    fields = {name: getattr(behavior, name) for name in behavior.__struct_fields__}
    return SeenBehavior(**fields, title=serving.catalogue.title(behavior.item_id))


def _item(item_id: ItemId, serving: Serving, strength: float | None = None) -> CatalogueItem:
    catalogue = serving.catalogue
    return CatalogueItem(
        item_id=item_id, title=catalogue.title(item_id), group=catalogue.group(item_id), strength=strength
    )


def _stream(serving: Serving, user_id: str | None) -> Response:
    async def lines() -> AsyncIterator[bytes]:
        with serving.events.watch(user_id) as changes:
            yield b": following\n\n"
            while not changes.over:
                try:
                    async with asyncio.timeout(_PING_S):
                        await changes.wait()
                except TimeoutError:
                    yield b": still there\n\n"
                    continue
                yield b"".join(
                    b"event: %b\ndata: %b\n\n" % (each.kind.encode(), each.payload) for each in changes.take()
                )

    return StreamingResponse(lines(), media_type="text/event-stream", headers={"x-accel-buffering": "no"})

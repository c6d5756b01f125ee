"""A typed client of the API, for Python programs: `Client("http://localhost:8080").recommendations("7")`."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from job.serving.answers import (
    Accepted,
    Batch,
    BehaviorIn,
    Behaviors,
    CatalogueItem,
    Health,
    Items,
    ProblemDetails,
    Recommendations,
    SeenBehavior,
)
from model.closing import Closing
from model.errors import RecloopError

__all__ = ["Accepted", "BehaviorIn", "Client", "Recommendations", "RefusedError"]
_Answer = TypeVar("_Answer", bound=msgspec.Struct)


class RefusedError(RecloopError):
    """A request that the server refused.

    Attributes:
        status: of HTTP; 503 and 429 pass by themselves.
        errors: each fault, where there may be several.
    """

    def __init__(self, problem: ProblemDetails) -> None:
        super().__init__(problem.detail)
        self.status = problem.status
        self.errors = problem.errors


class Client(Closing):
    """A connection to a server; use it as a context manager, or close it."""

    def __init__(self, url: str, *, key: str | None = None, timeout_s: float = 10.0, **options: Any) -> None:
        """Connect at the first request.

        Args:
            url: of the server.
            key: an API key, where the server asks for one.
            timeout_s: longest wait for an answer.
            options: further ones of `httpx.Client`, such as `verify` with the server's authority.
        """
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s, **options)

    def recommendations(
        self, user_id: str, n: int = 10, *, exclude: Iterable[str] = (), after: str | None = None, wait_ms: int = 200
    ) -> Recommendations:
        """Return a user's list; with `after`, of `append`, one that has seen what was appended, or is marked as stale.

        Raises:
            RefusedError: the server refuses.
            httpx.HTTPError: the server cannot be reached.
        """
        options: dict[str, Any] = {"n": n, "exclude": list(exclude)}
        if after is not None:
            options |= {"after": after, "wait_ms": wait_ms}
        return self._get(f"/users/{_quoted(user_id)}/recommendations", Recommendations, **options)

    def append(self, *behaviors: BehaviorIn) -> Accepted:
        """Append behaviours to the log, all or none; give them event ids, and a repeated call appends nothing twice."""
        body = msgspec.json.encode(Batch(behaviors=list(behaviors)))
        answer = self._http.post("/behaviors", content=body, headers={"Content-Type": "application/json"})
        return _decoded(answer, Accepted)

    def behaviors(self, user_id: str, n: int = 20) -> list[SeenBehavior]:
        """Return a user's newest behaviours, newest first."""
        return self._get(f"/users/{_quoted(user_id)}/behaviors", Behaviors, n=n).behaviors

    def similar(self, item_id: str, n: int = 10) -> list[CatalogueItem]:
        """Return the items nearest to an item."""
        return self._get(f"/items/{_quoted(item_id)}/similar", Items, n=n).items

    def trending(self, n: int = 10) -> list[CatalogueItem]:
        """Return what is trending, strongest first."""
        return self._get("/trending", Items, n=n).items

    def health(self) -> Health:
        """Return the server's state."""
        return self._get("/healthz", Health)

    def events(self, user_id: str | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield (kind, row) of every new list and behaviour, of one user or of all, until the server ends."""
        path = "/events" if user_id is None else f"/users/{_quoted(user_id)}/events"
        kind = ""
        with self._http.stream("GET", path, timeout=None) as lines:
            for line in lines.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    kind = value
                elif name == "data":
                    yield kind, msgspec.json.decode(value)

    def close(self) -> None:
        """Close the connection."""
        self._http.close()

    def _get(self, path: str, answer: type[_Answer], **options: Any) -> _Answer:
        return _decoded(self._http.get(path, params=options), answer)


def _decoded(response: httpx.Response, answer: type[_Answer]) -> _Answer:
    if response.is_success:
        return msgspec.json.decode(response.content, type=answer)
    try:
        problem = msgspec.json.decode(response.content, type=ProblemDetails)
    except (msgspec.DecodeError, UnicodeError):  # something between us and the server answered
        problem = ProblemDetails(title=response.reason_phrase, status=response.status_code, detail=response.text[:200])
    raise RefusedError(problem)


def _quoted(identifier: str) -> str:
    return quote(identifier, safe="")

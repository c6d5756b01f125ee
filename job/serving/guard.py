"""The guard before all routes: API keys, the rate of each client, bodies' lengths, and headers of every answer.

Plain ASGI, as it runs at every request. A key is compared in constant time, by its hash, and never logged.
"""

import hashlib
import hmac
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from job.serving.meters import Meters
from job.serving.problems import Problem
from job.serving.quick_read import QuickRead

OPEN_PATHS: Final = frozenset({"/healthz", "/readyz"})
"""The probes of whoever runs the server: they need no key, and have no limit."""
_PAGE = "/page"
"""The page has a guard of its own for keys, and its own headers."""
_CLIENTS = 10_000
"""Most clients whose rate is remembered; of more, those that were silent longest begin anew."""
_SECURE: Final = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
]


class Keys:
    """The API keys, as hashes."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._hashes = [hashlib.sha256(key.encode()).digest() for key in keys]

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def admit(self, scope: Scope) -> str | None:
        """Return a short name of the key that a request brings; None if it brings none of ours."""
        given = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        scheme, _, key = given.partition(b" ")
        digest = hashlib.sha256(key.strip()).digest()
        found = [each for each in self._hashes if hmac.compare_digest(each, digest)]
        return found[0].hex()[:8] if found and scheme.lower() == b"bearer" else None


class RateLimit:
    """A token bucket for each client: `burst` requests at once, `rate` a second in the long run."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, client: str, now: float) -> float:
        """Take a token, and return 0; or return the seconds until there is one."""
        tokens, at = self._buckets.pop(client, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._rate)
        admitted = tokens >= 1.0
        self._buckets[client] = (tokens - 1.0 if admitted else tokens, now)
        if len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)
        return 0.0 if admitted else (1.0 - tokens) / self._rate


class TooLongError(Exception):
    """A body that is longer than allowed."""


class Guard:
    """ASGI middleware around the application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        quick: QuickRead,
        keys: Keys,
        limit: RateLimit,
        hosts: frozenset[str],
        body_bytes: int,
        meters: Meters,
    ) -> None:
        self._app = app
        self._quick = quick
        self._hosts = hosts
        self._keys = keys
        self._limit = limit
        self._body_bytes = body_bytes
        self._meters = meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an admitted request on, and refuse others."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        path = scope["path"]
        on_page = path == _PAGE or path.startswith(_PAGE + "/")
        status = 500

        async def send_secured(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *(() if on_page else _SECURE)]
            await send(message)

        try:
            problem = self._refusal(scope, path, on_page=on_page)
            if problem is not None:
                await problem.response()(scope, receive, send_secured)
            elif (found := self._quick.find(scope)) is not None:
                await self._quick.answer(scope, found, send_secured)
            else:
                await self._app(scope, self._bounded(receive), send_secured)
        except TooLongError:
            detail = f"the body is longer than {self._body_bytes} bytes: send it in parts"
            await Problem(413, detail).response()(scope, receive, send_secured)
        finally:
            self._meters.count(scope, status, time.perf_counter() - began)

    def _refusal(self, scope: Scope, path: str, *, on_page: bool) -> Problem | None:
        if (host := _host(scope)) not in self._hosts:
            # A foreign name that resolves to this machine is how a web page would reach a server on loopback.
            return Problem(421, f"this server is not called {host[:100]}: recloop serve --host-names adds names")
        if path in OPEN_PATHS:
            return None
        client = scope["client"][0] if scope.get("client") else "local"
        key = self._keys.admit(scope) if self._keys and not on_page else None
        # A wrong key costs a token too, so guessing is limited.
        if wait_s := self._limit.wait_s(key or client, time.monotonic()):
            return Problem(429, "too many requests", headers={"retry-after": str(max(1, round(wait_s)))})
        if self._keys and not on_page and key is None:
            return Problem(
                401, "an API key is needed: Authorization: Bearer KEY", headers={"www-authenticate": "Bearer"}
            )
        return None

    def _bounded(self, receive: Receive) -> Receive:
        received = 0

        async def receive_bounded() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._body_bytes:
                raise TooLongError
            return message

        return receive_bounded


def _host(scope: Scope) -> str:
    """Return the name by which the client called the server, without the port."""
    given = next((value for name, value in scope["headers"] if name == b"host"), b"").decode("latin-1").lower()
    return given.partition("]")[0] + "]" if given.startswith("[") else given.partition(":")[0]

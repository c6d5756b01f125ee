"""Access to the page and to changes by it: signed cookies, same-origin requests, and headers for the browser.

A cookie is a time until which it holds and a signature of it under one of the keys, so a key that is taken away ends
its cookies, and nothing has to be stored.
"""

import hmac
import time
from collections.abc import Iterable, Sequence
from hashlib import sha256
from urllib.parse import urlsplit

from starlette.requests import Request

COOKIE = "recloop_page"
SIGNED_IN_S = 12 * 3600

HEADERS = {
    "Content-Security-Policy": "; ".join(
        (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "img-src 'self'",
            "connect-src 'self'",
            "form-action 'self'",
            "base-uri 'none'",
            "frame-ancestors 'none'",
        )
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
"""Headers of every answer below /page: a browser runs, shows and asks only what this server has."""


def cookie_for(key: str, now_s: float) -> str:
    """Return a cookie that holds for `SIGNED_IN_S` from now."""
    until = str(int(now_s) + SIGNED_IN_S)
    return f"{until}.{_signature(key, until)}"


def cookie_holds(cookie: str, keys: Iterable[str], now_s: float) -> bool:
    """Return whether a cookie is of one of the keys, and not too old."""
    until, _, signature = cookie.partition(".")
    genuine = [hmac.compare_digest(signature.encode(), _signature(key, until).encode()) for key in keys]
    return any(genuine) and until.isascii() and until.isdigit() and now_s < int(until)


def is_key(given: str, keys: Iterable[str]) -> str | None:
    """Return the key that was given, or None; all are compared, each in constant time."""
    found = [key for key in keys if hmac.compare_digest(given.encode(), key.encode())]
    return found[0] if found else None


def is_signed_in(request: Request, keys: Sequence[str]) -> bool:
    """Return whether the request may read: nobody need sign in where there are no keys."""
    return not keys or cookie_holds(request.cookies.get(COOKIE, ""), keys, time.time())


def is_own(request: Request) -> bool:
    """Return whether a request that changes something comes from this page, and not from another site's."""
    origin = request.headers.get("origin")
    if origin is not None:
        return urlsplit(origin).netloc == request.headers.get("host", "")
    return request.headers.get("sec-fetch-site", "same-origin") == "same-origin"


def _signature(key: str, until: str) -> str:
    return hmac.new(key.encode(), f"recloop page until {until}".encode(), sha256).hexdigest()

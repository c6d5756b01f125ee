"""Answers from a REST address: Flink's, or those of a proxy, a login page or another service taken for it."""

import re
import ssl
from typing import Any

import certifi
import httpx
import msgspec

from job.cluster.errors import FaultError, NotFlinkError

_LOGIN = (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN, httpx.codes.PROXY_AUTHENTICATION_REQUIRED)
_UNKNOWN_HOST = re.compile(r"not known|No address|Name or service|name resolution|nodename|idna", re.IGNORECASE)


def payload_of(url: str, path: str, answer: httpx.Response) -> Any:
    """Return the JSON that Flink answered, an error's included.

    Raises:
        FaultError: a proxy answers that Flink is not there at the moment.
        NotFlinkError: the answer is not Flink's.
    """
    status = answer.status_code
    try:
        payload = msgspec.json.decode(answer.content) if answer.content else {}
    except (msgspec.DecodeError, RecursionError):
        payload = None
    names_errors = isinstance(payload, dict) and isinstance(payload.get("errors"), list)
    if payload is not None and not answer.is_redirect and (not answer.is_error or names_errors):
        return payload
    if answer.is_server_error:
        msg = f"{url}{path} answers {status}, not as Flink does: is there a proxy, and the JobManager behind it up?"
        raise FaultError(msg)
    if status in _LOGIN:
        raise not_flink(url, path, f"{status}, it asks for a login")
    if answer.is_redirect:
        raise not_flink(url, path, f"{status}, a redirection to {answer.headers.get('location', 'nowhere')}")
    page = "a web page" if b"<html" in answer.content[:2000].lower() else "text"
    raise not_flink(url, path, f"{status} and {page if payload is None else 'JSON, but none of Flink'}")


def not_flink(url: str, path: str, found: str) -> NotFlinkError:
    """Return the error that names the answer which came instead of Flink's."""
    msg = f"{url} is no Flink JobManager, or something before it answers instead: {path} gives {found}"
    return NotFlinkError(f"{msg}. Give the address below which /overview shows Flink's numbers")


def hint(url: str, reason: str) -> str:
    """Return advice for a request that got no answer."""
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        return "set SSL_CERT_FILE to the certificate of the authority that signed the server's"
    if _UNKNOWN_HOST.search(reason):
        return "this machine does not know that host; see how it is spelled"
    if any(part in reason for part in ("SSL", "disconnected without", "reset by peer")):
        other = "http" if url.startswith("https") else "https"
        return f"is the cluster up, and does it speak {other} there?"
    return "is the cluster up? See recloop cluster status"


def certificates() -> ssl.SSLContext:
    """Return the trusted authorities: the machine's, those of SSL_CERT_FILE, and the usual public ones."""
    context = ssl.create_default_context()
    context.load_verify_locations(certifi.where())
    return context

"""Beyond loopback: TLS with a real certificate, and a key for everything; the page too."""

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from job.serving.answers import BehaviorIn
from job.serving.client import Client, RefusedError
from tests.serving.tls import KEY, Beyond, beyond_loopback

pytestmark = pytest.mark.heavy


@pytest.fixture
def beyond(tmp_path: Path) -> Iterator[Beyond]:
    with beyond_loopback(tmp_path) as server:
        yield server


def test_only_tls_and_only_with_a_key(beyond: Beyond) -> None:
    with Client(beyond.url, key=KEY, verify=beyond.trust) as client:
        assert [each.item_id for each in client.recommendations("u").items] == ["a", "b", "c"]
        sent = client.append(BehaviorIn(user_id="u", action="click", item_id="a"))
        assert client.recommendations("u", after=sent.after, wait_ms=0).stale
    with Client(beyond.url, verify=beyond.trust) as client, pytest.raises(RefusedError, match="API key") as refused:
        client.recommendations("u")
    assert refused.value.status == 401
    with Client(beyond.url, key=KEY) as client, pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        client.recommendations("u")
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://localhost:{beyond.port}/healthz")
    beyond.trust.check_hostname = False  # the certificate is of localhost
    for address in addresses():
        answer = httpx.get(f"https://{address}:{beyond.port}/trending", verify=beyond.trust)
        assert answer.status_code == 421, "it listens there, and is not called by that name"


def addresses() -> list[str]:
    """The addresses of this machine beyond loopback."""
    found = [each for of_card in psutil.net_if_addrs().values() for each in of_card]
    return [each.address for each in found if each.family == socket.AF_INET and not each.address.startswith("127.")]


def test_the_page_signs_in_over_tls_with_a_cookie_for_tls_alone(beyond: Beyond) -> None:
    with httpx.Client(base_url=f"{beyond.url}/page", verify=beyond.trust, headers={"accept": "text/html"}) as client:
        away = client.get("/")
        assert (away.status_code, away.headers["location"]) == (303, "/page/sign-in")
        own = {"origin": beyond.url}
        signed_in = client.post("/sign-in", data={"key": KEY}, headers=own)
        cookie = signed_in.headers["set-cookie"].lower()
        assert {"secure", "httponly", "samesite=strict"} <= {part.strip() for part in cookie.split(";")}
        assert client.get("/").status_code == 200

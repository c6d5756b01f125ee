"""What stands where a JobManager is looked for: each is read, or refused in one sentence."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from job.cluster import ClusterError, FlinkRest, NotFlinkError, RestError, SettingRefusedError, UnreachableError
from job.cluster.address import rest_address
from job.cluster.errors import FaultError
from tests.unit.cluster.web import Page, Web, make_certificate, web

OVERVIEW = {
    "taskmanagers": 1,
    "slots-total": 2,
    "slots-available": 2,
    "jobs-running": 0,
    "flink-version": "2.3.0",
}
CALLS = {
    "overview": lambda rest: rest.overview(),
    "task_managers": lambda rest: rest.task_managers(),
    "configuration": lambda rest: rest.configuration(),
    "class_path": lambda rest: rest.class_path(),
    "jobs": lambda rest: rest.jobs(),
    "job": lambda rest: rest.job("j1"),
    "task_managers_of": lambda rest: rest.task_managers_of("j1", "v1"),
    "checkpoints": lambda rest: rest.checkpoints("j1"),
    "exceptions": lambda rest: rest.exceptions("j1"),
    "job_metrics": lambda rest: rest.job_metrics("j1", "a"),
    "vertex_metrics": lambda rest: rest.vertex_metrics("j1", "v1"),
}
OTHERS = {
    "a proxy's page": (Page(b"<!DOCTYPE html><html><body>Welcome</body></html>"), "a web page"),
    "a page that is not found": (Page(b"<html>404</html>", 404), "404 and a web page"),
    "a login": (Page(b"Unauthorized", 401, {"WWW-Authenticate": "Basic"}), "asks for a login"),
    "a forbidden page": (Page(b"<html>no</html>", 403), "asks for a login"),
    "a redirection": (Page(b"", 302, {"Location": "https://login.shop/"}), "redirection to https://login.shop/"),
    "another service": (Page(b'{"name": "elastic", "tagline": "You Know"}'), "JSON without what Flink says"),
    "a list": (Page(b"[1, 2, 3]"), "JSON without what Flink says"),
    "a text": (Page(b'"pong"'), "JSON without what Flink says"),
    "null": (Page(b"null"), ""),
    "another service's error": (Page(b'{"detail": "Not Found"}', 404), "JSON, but none of Flink"),
    "no gzip": (Page(b"not gzip", 200, {"Content-Encoding": "gzip"}), "cannot be read"),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_flink_is_refused_in_one_sentence(name: str) -> None:
    page, told = OTHERS[name]
    with web(otherwise=page) as server, FlinkRest(server.url) as rest:
        with pytest.raises(NotFlinkError) as raised:
            rest.overview()

        assert str(raised.value).startswith(f"{server.url} is no Flink JobManager")
        assert told in str(raised.value)
        assert "\n" not in str(raised.value)


@pytest.fixture(scope="module")
def service() -> Iterator[Web]:
    with web() as server:
        yield server


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(answer=JSON, call=st.sampled_from(sorted(CALLS)))
def test_no_call_fails_otherwise_at_any_json(service: Web, answer: object, call: str) -> None:
    service.otherwise = Page(json.dumps(answer).encode())
    with FlinkRest(service.url) as rest, suppress(RestError):
        CALLS[call](rest)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_proxy_without_its_flink_is_asked_again_and_then_told(status: int) -> None:
    with (
        web(otherwise=Page(b"<html>Bad gateway</html>", status)) as server,
        FlinkRest(server.url, patience_s=0) as rest,
        pytest.raises(FaultError, match=f"answers {status}"),
    ):
        rest.overview()


def test_a_path_before_flink_is_kept(tmp_path: Path) -> None:
    pages = {"/flink/prod/overview": Page(json.dumps(OVERVIEW).encode())}
    with web(pages) as server, FlinkRest(f"{server.url}/flink/prod/") as rest:
        assert rest.overview().slots_total == 2
        assert server.asked == ["/flink/prod/overview"]


def test_https_is_spoken_with_a_certificate_that_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = make_certificate(tmp_path)
    with web({"/overview": Page(json.dumps(OVERVIEW).encode())}, certificate=certificate) as server:
        with FlinkRest(server.url) as rest, pytest.raises(UnreachableError, match="SSL_CERT_FILE"):
            rest.overview()
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "certificate.pem"))
        with FlinkRest(server.url) as rest:
            assert rest.overview().flink_version == "2.3.0"
        with FlinkRest(server.url.replace("https", "http")) as rest, pytest.raises(UnreachableError, match="https"):
            rest.overview()


@pytest.mark.parametrize(
    ("given_as", "address"),
    [
        ("http://jobmanager:8081", "http://jobmanager:8081"),
        ("http://jobmanager:8081/", "http://jobmanager:8081"),
        ("jobmanager:8081", "http://jobmanager:8081"),
        (" jobmanager:8081 ", "http://jobmanager:8081"),
        ("HTTPS://Flink.shop/", "https://flink.shop:443"),
        ("flink.shop", "http://flink.shop:80"),
        ("https://host/a/b/", "https://host:443/a/b"),
        ("http://host:8081/#/job/running", "http://host:8081"),
        ("http://[::1]:8081", "http://[::1]:8081"),
        ("127.0.0.1:8081", "http://127.0.0.1:8081"),
    ],
)
def test_an_address_has_one_form(given_as: str, address: str) -> None:
    assert rest_address(given_as) == address
    assert rest_address(address) == address


@pytest.mark.parametrize(
    "given_as",
    [
        *("", "http://", "ftp://host", "http://host:99999", "http://host:x", "host:8081/?a=b", "http://[::1"),
        *("a b:8081", "http://shop:secret@host:8081", "shop:secret@host", "file:///etc", "://", "http:///overview"),
    ],
)
def test_what_is_no_address_is_refused(given_as: str) -> None:
    with pytest.raises(SettingRefusedError) as raised:
        FlinkRest(given_as)

    assert "\n" not in str(raised.value)
    assert "secret" not in str(raised.value)


def test_a_host_that_is_not_known_is_told_so() -> None:
    with FlinkRest("http://no-such-host.invalid:8081") as rest, pytest.raises(UnreachableError, match="spelled"):
        rest.overview()


@given(st.text(max_size=30))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = rest_address(text)
    except ClusterError:
        return
    assert rest_address(address) == address
    FlinkRest(text).close()

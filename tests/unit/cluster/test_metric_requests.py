"""Requests for many metrics: none is longer than Flink reads, and every name is asked for once."""

from urllib.parse import parse_qs, urlsplit

from hypothesis import given
from hypothesis import strategies as st

from job.cluster import FlinkRest
from tests.unit.cluster.web import Page, web

_FIRST_LINE = 4_096
"""What Flink's server (Netty's HttpServerCodec) takes by default."""


@given(st.lists(st.text(st.sampled_from("aé.+ ,/"), min_size=1, max_size=300), max_size=60, unique=True))
def test_each_name_is_asked_for_once_and_no_request_is_too_long(names: list[str]) -> None:
    with web(otherwise=Page(b"[]")) as server, FlinkRest(server.url) as rest:
        assert rest.vertex_metrics("j" * 32, "v" * 32, *names) == {}
    asked = [path for path in server.asked if "get=" in path]
    assert all(len(f"GET {path} HTTP/1.1") < _FIRST_LINE for path in asked)
    # A comma in a name is Flink's to tell from one between names; here both are parts of one list.
    assert ",".join(parse_qs(urlsplit(path).query)["get"][0] for path in asked) == ",".join(names)

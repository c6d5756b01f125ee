"""Who may see the page: cookies hold until their time and their key are over, and other sites may ask for nothing."""

from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from job.page.access import SIGNED_IN_S, cookie_for, cookie_holds, is_key, is_own

NOW_S = 1_800_000_000.0
keys = st.lists(st.text(st.characters(codec="ascii"), min_size=1, max_size=40), min_size=1, max_size=4, unique=True)


@given(keys, st.floats(0, SIGNED_IN_S - 2))
def test_a_cookie_of_any_key_holds(known: list[str], later_s: float) -> None:
    for key in known:
        assert cookie_holds(cookie_for(key, NOW_S), known, NOW_S + later_s)


@given(keys)
def test_a_cookie_ends_with_its_time_and_with_its_key(known: list[str]) -> None:
    cookie = cookie_for(known[0], NOW_S)
    assert not cookie_holds(cookie, known, NOW_S + SIGNED_IN_S + 1)
    assert not cookie_holds(cookie, known[1:], NOW_S)


@given(st.text(max_size=120))
def test_nothing_else_is_a_cookie(made_up: str) -> None:
    assert not cookie_holds(made_up, ["a key"], NOW_S)


def test_a_later_time_needs_another_signature() -> None:
    until, _, signature = cookie_for("a key", NOW_S).partition(".")
    assert not cookie_holds(f"{int(until) + 1}.{signature}", ["a key"], NOW_S)


@given(keys, st.text(max_size=40))
def test_a_key_is_one_of_the_keys(known: list[str], other: str) -> None:
    assert [is_key(key, known) for key in known] == known
    assert is_key(other, known) == (other if other in known else None)


def request(**headers: str) -> Request:
    named = {"host": "here:8080", **{name.replace("_", "-"): value for name, value in headers.items()}}
    raw = [(name.encode(), value.encode()) for name, value in named.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": raw})


def test_only_requests_of_the_page_itself_change_anything() -> None:
    assert is_own(request(origin="http://here:8080"))
    assert is_own(request(sec_fetch_site="same-origin"))
    for other in ("http://there:8080", "http://here:9090", "null", "http://here:8080.there"):
        assert not is_own(request(origin=other))
    assert not is_own(request(sec_fetch_site="cross-site"))
    assert not is_own(request(sec_fetch_site="same-site"))

"""What stands where a JobManager is looked for: each is read, or refused in one sentence."""

import inspect
import json
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from job.cluster import ClusterError, FlinkRest, NotFlinkError, RestError, SettingRefusedError, UnreachableError
from job.cluster.address import rest_address
from job.cluster.checkpoint_records import CheckpointStats
from job.cluster.errors import FaultError, RefusedError, TimedOutError
from tests.unit.cluster.web import Page, Web, make_certificate, web

pytestmark = pytest.mark.heavy
OVERVIEW = {
    "taskmanagers": 1,
    "slots-total": 2,
    "slots-available": 2,
    "jobs-running": 0,
    "flink-version": "2.3.0",
}
TASK_MANAGER = {
    "id": "tm-1",
    "path": "pekko.tcp://flink@host:1/user/rpc/taskmanager_0",
    "slotsNumber": 1,
    "freeSlots": 1,
    "timeSinceLastHeartbeat": 5,
    "totalResource": {
        **{"cpuCores": 1.0, "taskHeapMemory": 1, "taskOffHeapMemory": 0, "managedMemory": 1},
        "extendedResources": {"gpu": 1.0},
    },
}
JOB = {"jid": "j1", "name": "lists", "state": "FINISHED", "start-time": 1, "duration": 5}
VERTEX = {
    **{"id": "v1", "name": "a", "parallelism": 1, "maxParallelism": 8, "status": "FINISHED"},
    "tasks": {"RUNNING": 0, "FINISHED": 1},
}
CHECKPOINT = {
    **{"id": 3, "status": "COMPLETED", "is_savepoint": False, "trigger_timestamp": 1, "end_to_end_duration": 2},
    **{"state_size": 3, "external_path": "file:/c/chk-3", "discarded": False, "latest_ack_timestamp": 3},
}
CHECKPOINTS = {
    "counts": {"completed": 1, "failed": 0, "in_progress": 0, "restored": 1},
    "latest": {
        "completed": CHECKPOINT,
        "savepoint": None,
        "restored": {"id": 2, "external_path": "file:/c/chk-2", "restore_timestamp": 1},
    },
    "history": [CHECKPOINT],
}
FAILURE = {"exceptionName": "a.B", "stacktrace": "a.B: why", "timestamp": 1, "taskName": "t", "taskManagerId": "tm-1"}
SAVED = {"status": {"id": "COMPLETED"}, "operation": {"location": "file:/s"}}
NOT_SAVED = {"status": {"id": "COMPLETED"}, "operation": {"failure-cause": {"stack-trace": "a.B: no space"}}}
GOOD: dict[str, object] = {
    "/overview": OVERVIEW,
    "/taskmanagers": {"taskmanagers": [TASK_MANAGER]},
    "/taskmanagers/tm-1/log": "a line",
    "/jobmanager/config": [{"key": "a", "value": "b"}],
    "/jobmanager/environment": {"classpath": ["/lib/a.jar"]},
    "/jobs/overview": {"jobs": [JOB]},
    "/jobs/j1": {**JOB, "vertices": [VERTEX]},
    "/jobs/j1?mode=cancel": {},
    "/jobs/j1/vertices/v1": {"subtasks": [{"taskmanager-id": "tm-1"}]},
    "/jobs/j1/checkpoints": {**CHECKPOINTS, "request-id": "c1"},
    "/jobs/j1/checkpoints/config": {"externalization": {"enabled": True, "delete_on_cancellation": False}},
    "/jobs/j1/checkpoints/details/3/subtasks/v1": {
        "summary": {
            "checkpoint_duration": {"sync": {"max": 1}, "async": {"max": 2}},
            "alignment": {"duration": {"max": 3}},
            "start_delay": {"max": 4},
        }
    },
    "/jobs/j1/exceptions": {"exceptionHistory": {"entries": [FAILURE]}},
    "/jobs/j1/metrics?get=a": [{"id": "a", "value": "1"}],
    "/jobs/j1/vertices/v1/metrics": [{"id": "0.a"}],
    "/jobs/j1/vertices/v1/metrics?get=0.a": [{"id": "0.a", "value": "1"}],
    "/jobs/j1/stop": {"request-id": "t1"},
    "/jobs/j1/savepoints": {"request-id": "t1"},
    "/savepoint-disposal": {"request-id": "d1"},
    "/savepoint-disposal/d1": {"status": {"id": "COMPLETED"}, "operation": None},
    "/jobs/j1/savepoints/t1": SAVED,
    "/jobs/j1/savepoints/t2": NOT_SAVED,
}
CALLS: dict[str, Callable[[FlinkRest], object]] = {
    "overview": lambda rest: rest.overview(),
    "task_managers": lambda rest: rest.task_managers(),
    "configuration": lambda rest: rest.configuration(),
    "class_path": lambda rest: rest.class_path(),
    "log_head": lambda rest: rest.log_head("tm-1"),
    "jobs": lambda rest: rest.jobs(),
    "job": lambda rest: rest.job("j1"),
    "task_managers_of": lambda rest: rest.task_managers_of("j1", "v1"),
    "checkpoints": lambda rest: rest.checkpoints("j1"),
    "checkpoint_phases": lambda rest: rest.checkpoint_phases("j1", 3, "v1"),
    "retains_checkpoints": lambda rest: rest.retains_checkpoints("j1"),
    "exceptions": lambda rest: rest.exceptions("j1"),
    "job_metrics": lambda rest: rest.job_metrics("j1", "a"),
    "vertex_metrics": lambda rest: rest.vertex_metrics("j1", "v1"),
    "vertex_counts": lambda rest: rest.vertex_counts("j1", "v1", "0.a"),
    "vertex_metric_names": lambda rest: rest.vertex_metric_names("j1", "v1"),
    "cancel": lambda rest: rest.cancel("j1"),
    "wait_for_job": lambda rest: rest.wait_for_job("j1", lambda job: job.is_over, timeout_s=0),
    "wait_until_running": lambda rest: rest.wait_until_running("j1", timeout_s=0),
    "stop_with_savepoint": lambda rest: rest.stop_with_savepoint("j1", timeout_s=0),
    "begin_stop": lambda rest: rest.begin_stop("j1"),
    "savepoint_of": lambda rest: rest.savepoint_of("j1", "t1", timeout_s=0),
    "savepoint_of one that failed": lambda rest: rest.savepoint_of("j1", "t2", timeout_s=0),
    "begin_savepoint": lambda rest: rest.begin_savepoint("j1"),
    "dispose_savepoint": lambda rest: rest.dispose_savepoint("file:/s", timeout_s=0),
    "begin_checkpoint": lambda rest: rest.begin_checkpoint("j1"),
    "get": lambda rest: rest.get("/overview"),
    "call": lambda rest: rest.call("GET", "/overview"),
}
RAW = {"get", "call"}
"""Those that give JSON as it came."""
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


def test_every_method_is_tried() -> None:
    methods = {name for name, _ in inspect.getmembers(FlinkRest, inspect.isfunction) if not name.startswith("_")}
    assert {name.partition(" ")[0] for name in CALLS} == methods - {"close"}


LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
JSON = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3)
)
NO_JSON = st.sampled_from([b"", b"<html>", b"{", b"\xff\xfe", b"[" * 100_000, b"1" * 5_000, b"NaN", b'"\\ud800"'])
STATUSES = st.sampled_from([200, 200, 200, 202, 204, 206, 301, 400, 401, 404, 409, 500, 503])


def places(answer: object, here: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The way to every part of an answer, itself the first."""
    yield here
    inside = answer.items() if isinstance(answer, dict) else enumerate(answer if isinstance(answer, list) else ())
    for key, value in inside:
        yield from places(value, (*here, key))


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, object]:
    """What Flink answers, with one part of one answer gone or something else."""
    path = draw(st.sampled_from(sorted(GOOD)))
    *way, last = ("", *draw(st.sampled_from(list(places(GOOD[path])))))
    pages = {**GOOD, path: {"": deepcopy(GOOD[path])}}
    within: Any = pages[path]
    for key in way:
        within = within[key]
    if draw(st.booleans()) and last != "":
        del within[last]
    else:
        within[last] = draw(JSON)
    holder: Any = pages[path]
    return {**pages, path: holder[""]}


def all_calls_end_well(server: Web) -> None:
    """Each gives what it says it gives, or fails in one sentence of ours."""
    with FlinkRest(server.url, patience_s=0) as rest:
        for name, call in CALLS.items():
            try:
                given_back, told = call(rest), ""
            except RestError as error:
                given_back, told = None, str(error)
            assert "\n" not in told
            if name not in RAW and not told:
                declared = get_type_hints(getattr(FlinkRest, name.partition(" ")[0]))["return"]
                assert msgspec.json.decode(msgspec.json.encode(given_back), type=declared) == given_back


def test_what_flink_answers_is_read(service: Web) -> None:
    service.pages = {path: Page(json.dumps(answer).encode()) for path, answer in GOOD.items()}
    with FlinkRest(service.url, patience_s=0) as rest:
        read = {name: call(rest) for name, call in CALLS.items() if name not in FAILING}
        for name, error in FAILING.items():
            with pytest.raises(error):
                CALLS[name](rest)

    assert read["savepoint_of"] == read["stop_with_savepoint"] == "file:/s"
    assert read["vertex_metrics"] == {"0.a": "1"}
    assert read["vertex_counts"] == {"0.a": 1}
    assert read["retains_checkpoints"] is True
    stats = read["checkpoints"]
    assert isinstance(stats, CheckpointStats)
    assert (stats.completed, stats.restored_from) == (1, "file:/c/chk-2")
    assert [each.path for each in stats.kept] == ["file:/c/chk-3"] * 2


FAILING = {"savepoint_of one that failed": RefusedError, "wait_until_running": TimedOutError}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(answers=damaged())
def test_an_answer_with_one_part_wrong_is_refused_in_one_sentence(service: Web, answers: dict[str, object]) -> None:
    service.pages = {path: Page(json.dumps(answer).encode()) for path, answer in answers.items()}
    all_calls_end_well(service)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=30)
@given(body=JSON.map(lambda answer: json.dumps(answer).encode()) | NO_JSON | st.binary(max_size=20), status=STATUSES)
def test_any_answer_is_refused_in_one_sentence(service: Web, body: bytes, status: int) -> None:
    service.pages, service.otherwise = {}, Page(b"" if status == 204 else body, status)
    all_calls_end_well(service)


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

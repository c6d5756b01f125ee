"""The REST client against a server that answers as Flink does."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest

from job.cluster import FlinkRest, NotFoundError, RefusedError, TimedOutError, UnreachableError
from job.cluster.errors import FaultError
from job.cluster.records import Failure, JobDetail

JOB = {
    "jid": "j1",
    "name": "lists",
    "state": "RUNNING",
    "start-time": 1000,
    "duration": 5,
    "vertices": [
        {
            "id": "v1",
            "name": "track-users",
            "parallelism": 2,
            "maxParallelism": 32,
            "status": "RUNNING",
            "tasks": {"RUNNING": 2, "FAILED": 0},
        }
    ],
}


class Server(ThreadingHTTPServer):
    """Answers each (method, path) with the next of its prepared answers; the last one stays."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: dict[tuple[str, str], list[tuple[int, Any]]] = {}
        self.bodies: list[Any] = []

    def answer(self, method: str, path: str, *bodies: object, status: int = 200) -> None:
        self.answers[method, path] = [(status, body) for body in bodies]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def reply(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if length:
            self.server.bodies.append(json.loads(self.rfile.read(length)))
        prepared = self.server.answers.get((self.command, self.path), [(404, {"errors": ["Not found: x"]})])
        status, body = prepared.pop(0) if len(prepared) > 1 else prepared[0]
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PATCH = do_PUT = reply

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def rest(server: Server) -> Iterator[FlinkRest]:
    with FlinkRest(server.url) as rest:
        yield rest


def test_jobs_come_newest_first(server: Server, rest: FlinkRest) -> None:
    jobs = [
        {"jid": jid, "name": "n", "state": "RUNNING", "start-time": at, "duration": 1}
        for jid, at in (("a", 1), ("b", 2))
    ]
    server.answer("GET", "/jobs/overview", {"jobs": jobs})

    assert [job.job_id for job in rest.jobs()] == ["b", "a"]


def test_a_job_runs_when_all_its_subtasks_do(server: Server, rest: FlinkRest) -> None:
    server.answer("GET", "/jobs/j1", JOB)

    job = rest.job("j1")

    assert job.all_running
    assert job.vertices[0].tasks == {"RUNNING": 2}


def test_a_job_with_a_subtask_that_still_deploys_is_waited_for(server: Server, rest: FlinkRest) -> None:
    deploying = {**JOB, "vertices": [{**JOB["vertices"][0], "tasks": {"RUNNING": 1, "DEPLOYING": 1}}]}  # type: ignore[index]
    server.answer("GET", "/jobs/j1", deploying, JOB)

    assert rest.wait_until_running("j1", timeout_s=5).all_running


def test_a_wait_that_ends_tells_the_state_and_the_last_failure(server: Server, rest: FlinkRest) -> None:
    server.answer("GET", "/jobs/j1", {**JOB, "state": "RESTARTING"})
    entry = {"exceptionName": "x", "stacktrace": "java.lang.Error: a\nCaused by: b.C: why\n", "timestamp": 1}
    server.answer("GET", "/jobs/j1/exceptions", {"exceptionHistory": {"entries": [entry]}})

    with pytest.raises(TimedOutError, match=r"j1 is RESTARTING; last failure: b\.C: why"):
        rest.wait_until_running("j1", timeout_s=0)


def test_checkpoints_tell_counts_and_the_newest(server: Server, rest: FlinkRest) -> None:
    checkpoint = {
        "id": 7,
        "status": "COMPLETED",
        "is_savepoint": False,
        "trigger_timestamp": 1,
        "end_to_end_duration": 20,
        "state_size": 300,
        "external_path": "file:/c/chk-7",
    }
    told = {
        "counts": {"completed": 7, "failed": 1, "in_progress": 0, "restored": 1},
        "latest": {"completed": checkpoint, "restored": {"id": 3, "external_path": "file:/c/chk-3"}},
        "history": [checkpoint],
    }
    server.answer("GET", "/jobs/j1/checkpoints", told)

    stats = rest.checkpoints("j1")

    assert (stats.completed, stats.failed, stats.restored_from) == (7, 1, "file:/c/chk-3")
    assert stats.latest is not None
    assert stats.latest.path == "file:/c/chk-7"
    assert stats.history == (stats.latest,)


def test_stopping_polls_until_the_savepoint_is_written(server: Server, rest: FlinkRest) -> None:
    server.answer("POST", "/jobs/j1/stop", {"request-id": "t1"}, status=202)
    server.answer(
        "GET",
        "/jobs/j1/savepoints/t1",
        {"status": {"id": "IN_PROGRESS"}},
        {"status": {"id": "COMPLETED"}, "operation": {"location": "file:/s/1"}},
    )

    assert rest.stop_with_savepoint("j1", directory="file:/s") == "file:/s/1"
    assert server.bodies == [{"drain": False, "formatType": "CANONICAL", "targetDirectory": "file:/s"}]


def test_a_savepoint_that_failed_is_told(server: Server, rest: FlinkRest) -> None:
    failed = {"status": {"id": "COMPLETED"}, "operation": {"failure-cause": {"stack-trace": "x.Y: no space\n at z"}}}
    server.answer("POST", "/jobs/j1/stop", {"request-id": "t1"})
    server.answer("GET", "/jobs/j1/savepoints/t1", failed)

    with pytest.raises(RefusedError, match=r"savepoint failed: x\.Y: no space"):
        rest.stop_with_savepoint("j1")


def test_a_savepoint_that_takes_too_long_is_not_waited_for(server: Server, rest: FlinkRest) -> None:
    server.answer("POST", "/jobs/j1/stop", {"request-id": "t1"})
    server.answer("GET", "/jobs/j1/savepoints/t1", {"status": {"id": "IN_PROGRESS"}})

    with pytest.raises(TimedOutError, match="may still end"):
        rest.stop_with_savepoint("j1", timeout_s=0)


def test_metrics_are_asked_for_by_their_quoted_names(server: Server, rest: FlinkRest) -> None:
    server.answer("GET", "/jobs/j1/metrics?get=a%20b,c", [{"id": "a b", "value": "1"}, {"id": "c"}])

    assert rest.job_metrics("j1", "a b", "c") == {"a b": "1"}


def test_what_flink_does_not_know_is_not_found(rest: FlinkRest) -> None:
    with pytest.raises(NotFoundError, match=r"GET /jobs/j9 \(404\): Not found: x"):
        rest.job("j9")


def test_what_flink_refuses_is_told_in_one_line(server: Server, rest: FlinkRest) -> None:
    errors = ["Internal server error.", "java.lang.Exception: not so\n at x\n"]
    server.answer("PATCH", "/jobs/j1?mode=cancel", {"errors": errors}, status=409)

    with pytest.raises(RefusedError, match=r"not so$"):
        rest.cancel("j1")


def test_flink_is_asked_again_when_it_is_at_fault_itself(server: Server, rest: FlinkRest) -> None:
    server.answers["GET", "/jobs/j1"] = [(500, {"errors": ["CancellationException"]}), (200, JOB)]

    assert rest.job("j1").state == "RUNNING"


def test_a_lasting_fault_of_flinks_is_an_error(server: Server) -> None:
    server.answer("GET", "/jobs/j1", {"errors": ["broken"]}, status=500)

    with FlinkRest(server.url, patience_s=0) as rest, pytest.raises(FaultError, match="broken"):
        rest.job("j1")


def test_nobody_there_is_told_with_what_to_do() -> None:
    with FlinkRest("http://127.0.0.1:9") as rest, pytest.raises(UnreachableError, match="recloop cluster status"):
        rest.overview()


def test_a_job_that_failed_is_over() -> None:
    assert msgspec.convert({**JOB, "state": "FAILED"}, JobDetail).is_over


def test_root_cause_is_the_innermost() -> None:
    trace = "a.B: outer\n\tat x\nCaused by: c.D: middle\nCaused by: e.F: inner\n"

    assert Failure("a.B", trace, 0, None, None).root_cause == "e.F: inner"

"""What a deployment sees of Flink, over real HTTP and by a real command line: jobs that are moments, not minutes.

A job's state is the id of the job that began it with nothing, and how much of the log it has read; it is in the
`_metadata` of every savepoint and checkpoint. So who lost state, or read nothing since, cannot hide it.
"""

import json
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from job.cluster.uris import local_path
from job.deployment.submission import Target

FAILS = 13
"""flink.bundle_size of a job that Flink takes, and that never comes up."""
REFUSED = 14
"""The same of one that Flink's client refuses."""
NOT_DECLARED = 15
"""The same of one that cannot even be declared."""
WITHOUT_AN_OPERATOR = 16
"""The same of one that lacks an operator whose state the others have."""
_MAIN = f"""
import json, sys
def main():
    settings = json.load(open(sys.argv[sys.argv.index("--settings") + 1]))["settings"]
    if settings["flink"]["bundle_size"] == {NOT_DECLARED}:
        raise ValueError("no such thing")
    assert "--check" in sys.argv
    operators = ["poll-log", "track-users: x", "write-user-behavior: Writer"]
    if settings["flink"]["bundle_size"] == {WITHOUT_AN_OPERATOR}:
        operators = operators[:2]
    print(json.dumps(dict(operators=operators)))
"""
_CLIENT = f"""
import json, os, sys, urllib.request
given = sys.argv[1:]
if given[0] == "list":
    print("Waiting for response...")
    sys.exit(print("No running jobs."))
value = lambda name: given[given.index(name) + 1] if name in given else None
parts = json.load(open(value("--settings")))
settings, plan = (parts["settings"], parts["plan"]) if "plan" in parts else (parts, parts["deployment"])
if settings["flink"]["bundle_size"] == {REFUSED}:
    sys.exit("org.apache.flink.SomeException: refused, for a reason")
job = dict(id=value("-D").partition("=")[2], state=value("-s"), settings=settings, plan=plan)
urllib.request.urlopen(urllib.request.Request(os.environ["STAND_IN"], json.dumps(job).encode())).read()
print("Job has been submitted with JobID", job["id"])
"""


@dataclass
class Job:
    """A job, as Flink tells of it."""

    job_id: str
    name: str
    settings: dict[str, Any]
    plan: dict[str, Any]
    root: str
    offset: int
    restored: str | None
    checkpoint_id: int
    start_ms: int
    restored_id: int = 0
    state: str = "RUNNING"
    kept: list[dict[str, Any]] = field(default_factory=list)

    @property
    def runs(self) -> bool:
        return self.state in ("RUNNING", "RESTARTING")


class FlinkStandIn(ThreadingHTTPServer):
    """A cluster of so many slots, with its files below a folder."""

    daemon_threads = True

    def __init__(self, folder: Path, slots: int = 2) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder, self.slots = folder, slots
        self.jobs: dict[str, Job] = {}
        self.log_length = 0
        self.refuses_savepoints = False
        self.retains = True
        self.completes_checkpoints = True
        self.savepoint_lasts_s = 0.0
        self.disposal_failure = ""
        self.silent_after: str | None = None
        """The answer after which nobody answers any more, once: job (it ended), or savepoint (it is complete)."""
        self.is_silent = False
        self.on_silence: Callable[[], None] = lambda: None
        self.savepoints_ready_at: dict[str, float] = {}
        self.configuration = {
            "classloader.parent-first-patterns.additional": "pemja",
            "execution.checkpointing.dir": f"file://{folder}/checkpoints",
            "execution.checkpointing.savepoint-dir": f"file://{folder}/savepoints",
        }
        (folder / "checkpoints").mkdir(parents=True)
        for package, module in (("job", "nothing"), ("udfs", "nothing")):
            (folder / "code" / package).mkdir(parents=True)
            for name in ("__init__", module):
                (folder / "code" / package / f"{name}.py").write_text("")
        (folder / "code" / "job" / "main.py").write_text(_MAIN)
        (folder / "bin").mkdir()
        (folder / "bin" / "client.py").write_text(_CLIENT)
        flink = folder / "bin" / "flink"
        flink.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{folder}/bin/client.py" "$@"\n')
        flink.chmod(0o755)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    @property
    def code(self) -> Path:
        return self.folder / "code"

    def target(self, *, is_local: bool = True) -> Target:
        checkpoints = self.folder / "checkpoints" if is_local else None
        environment = {"FLINK_HOME": str(self.folder), "STAND_IN": f"{self.url}/submit", "PATH": "/usr/bin:/bin"}
        folder = self.folder / "deployments"
        folder.mkdir(exist_ok=True)
        return Target(self.url, environment, folder, checkpoints)

    def answered(self, parts: list[str]) -> None:
        """Falls silent after an answer, as an application's JobManager does when its job has ended."""
        kind = {2: "job", 4: "savepoint"}.get(len(parts)) if parts[1:] and parts[1] in self.jobs else None
        if kind is not None and kind == self.silent_after and not self.jobs[parts[1]].runs:
            self.is_silent, self.silent_after = True, None
            self.on_silence()

    def running(self) -> list[Job]:
        return [job for job in self.jobs.values() if job.runs]

    def submitted(self, told: dict[str, Any]) -> None:
        root, offset, checkpoint_id = told["id"], 0, 0
        if told["state"]:
            metadata = Path(str(local_path(told["state"]))) / "_metadata"
            root, offset, checkpoint_id = read_state(metadata)
        settings = told["settings"]
        fails = settings["flink"]["bundle_size"] == FAILS
        self.jobs[told["id"]] = Job(
            job_id=told["id"],
            name=settings["job_name"],
            settings=settings,
            plan=told["plan"],
            root=root,
            offset=offset,
            restored=told["state"],
            checkpoint_id=checkpoint_id,
            restored_id=checkpoint_id,
            start_ms=int(time.time() * 1000),
            state="RESTARTING" if fails else "RUNNING",
        )

    def checkpoint(self, job: Job, folder: Path, *, is_savepoint: bool) -> str:
        """The job reads the log to its end, and keeps that."""
        job.checkpoint_id, job.offset = job.checkpoint_id + 1, self.log_length
        path = folder if is_savepoint else folder / job.job_id / f"chk-{job.checkpoint_id}"
        path.mkdir(parents=True)
        header = struct.pack(">iiq", 0x4960672D, 6, job.checkpoint_id)
        (path / "_metadata").write_bytes(header + json.dumps([job.root, job.offset]).encode())
        entry = {
            "id": job.checkpoint_id,
            "status": "COMPLETED",
            "is_savepoint": is_savepoint,
            "trigger_timestamp": int(time.time() * 1000),
            "end_to_end_duration": 1,
            "state_size": 1,
            "external_path": f"file:{path}",
            "discarded": False,
        }
        job.kept.insert(0, entry)
        return f"file:{path}"

    def take(self, job: Job, directory: str | None) -> str:
        """Writes a savepoint of a job."""
        base = directory or self.configuration["execution.checkpointing.savepoint-dir"]
        folder = Path(str(local_path(base))) / f"savepoint-{job.job_id[:6]}-{job.checkpoint_id:012x}"
        return self.checkpoint(job, folder, is_savepoint=True)

    def dispose(self, uri: str) -> None:
        """Removes a savepoint."""
        folder = Path(str(local_path(uri)))
        (folder / "_metadata").unlink()
        folder.rmdir()

    def stop(self, job: Job, directory: str | None) -> str:
        """Ends a job with a savepoint, and deletes its checkpoints, as Flink does."""
        uri = self.take(job, directory)
        job.state = "FINISHED"
        self._discard(job)
        return uri

    def restart(self, job: Job) -> None:
        """Restores the job from its newest checkpoint, as after a TaskManager's death."""
        newest = next(each for each in job.kept if not each["is_savepoint"])
        job.restored, job.restored_id = newest["external_path"], newest["id"]
        job.offset = read_state(Path(str(local_path(newest["external_path"]))) / "_metadata")[1]

    def cancel(self, job: Job) -> None:
        job.state = "CANCELED"
        if not self.retains:
            self._discard(job)

    def _discard(self, job: Job) -> None:
        for each in job.kept:
            if not each["is_savepoint"]:
                each["discarded"] = True
                (Path(str(local_path(each["external_path"]))) / "_metadata").unlink()


def read_state(metadata: Path) -> tuple[str, int, int]:
    data = metadata.read_bytes()
    root, offset = json.loads(data[16:])
    return root, offset, struct.unpack(">iiq", data[:16])[2]


class _Handler(BaseHTTPRequestHandler):
    server: FlinkStandIn

    def do_GET(self) -> None:
        if self.server.is_silent:
            return
        parts = self.path.strip("/").split("/")
        answer = self._get(parts)
        self.server.answered(parts)
        self._reply(*answer)

    def do_PATCH(self) -> None:
        job = self.server.jobs.get(self.path.strip("/").split("/")[1].partition("?")[0])
        if job is not None and job.runs:
            self.server.cancel(job)
        self._reply(202, {}) if job is not None else self._reply(404, {"errors": ["Job not found"]})

    def do_POST(self) -> None:
        told = json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)))
        if self.path == "/submit":
            self.server.submitted(told)
            return self._reply(200, {})
        if self.path == "/savepoint-disposal":
            self.server.dispose(told["savepoint-path"])
            return self._reply(202, {"request-id": "t2"})
        _, job_id, what = self.path.strip("/").split("/")
        job = self.server.jobs[job_id]
        if what == "savepoints":
            self.server.take(job, told.get("target-directory"))
            return self._reply(202, {"request-id": "t3"})
        if what == "checkpoints":
            if not self.server.completes_checkpoints:
                return self._reply(202, {})
            self.server.checkpoint(job, self.server.folder / "checkpoints", is_savepoint=False)
            return self._reply(202, {})
        directory = told.get("targetDirectory")
        if directory is None and "execution.checkpointing.savepoint-dir" not in self.server.configuration:
            return self._reply(400, {"errors": ["Config key [execution.checkpointing.savepoint-dir] is not set."]})
        ready = time.monotonic() + self.server.savepoint_lasts_s
        self.server.savepoints_ready_at[job_id] = ready
        if not self.server.refuses_savepoints:
            threading.Timer(self.server.savepoint_lasts_s, self.server.stop, (job, directory)).start()
        return self._reply(202, {"request-id": "t1"})

    def _get(self, parts: list[str]) -> tuple[int, object]:
        match parts:
            case ["overview"]:
                return 200, self._overview()
            case ["taskmanagers"]:
                return 200, {"taskmanagers": []}
            case ["jobmanager", "config"]:
                return 200, [{"key": key, "value": value} for key, value in self.server.configuration.items()]
            case ["savepoint-disposal", _]:
                failure = self.server.disposal_failure
                cause = {"failure-cause": {"stack-trace": failure}} if failure else {}
                return 200, {"status": {"id": "COMPLETED"}, "operation": cause}
            case ["jobs", "overview"]:
                return 200, {"jobs": [_detail(job) for job in self.server.jobs.values()]}
            case ["jobs", job_id, *rest] if job_id in self.server.jobs:
                return self._of_job(self.server.jobs[job_id], rest)
        return 404, {"errors": ["Not found"]}

    def _of_job(self, job: Job, rest: list[str]) -> tuple[int, object]:
        match rest:
            case []:
                return 200, _detail(job)
            case ["checkpoints"]:
                return 200, _checkpoints(job)
            case ["checkpoints", "config"]:
                return 200, {"externalization": {"enabled": True, "delete_on_cancellation": not self.server.retains}}
            case ["exceptions"]:
                return 200, {"exceptionHistory": {"entries": _failures(job)}}
            case ["savepoints", "t3"]:
                location = next(each["external_path"] for each in job.kept if each["is_savepoint"])
                return 200, {"status": {"id": "COMPLETED"}, "operation": {"location": location}}
            case ["savepoints", _]:
                return 200, self._savepoint(job)
        return 404, {"errors": ["Not found"]}

    def _savepoint(self, job: Job) -> dict[str, object]:
        if self.server.refuses_savepoints:
            trace = "org.apache.flink.CheckpointException: no space\n"
            return {"status": {"id": "COMPLETED"}, "operation": {"failure-cause": {"stack-trace": trace}}}
        if job.runs:
            return {"status": {"id": "IN_PROGRESS"}}
        return {"status": {"id": "COMPLETED"}, "operation": {"location": job.kept[0]["external_path"]}}

    def _overview(self) -> dict[str, object]:
        used = sum(job.settings["flink"]["parallelism"] for job in self.server.running())
        return {
            "flink-version": "2.3.0",
            "taskmanagers": self.server.slots,
            "slots-total": self.server.slots,
            "slots-available": self.server.slots - used,
            "jobs-running": len(self.server.running()),
        }

    def _reply(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def _detail(job: Job) -> dict[str, Any]:
    parallelism = job.settings["flink"]["parallelism"]
    vertex = {
        "id": "v1",
        "name": "track-users -> write-user-behavior: Writer -> write-user-behavior: Committer",
        "parallelism": parallelism,
        "maxParallelism": job.settings["flink"]["buckets"],
        "status": job.state,
        "tasks": {"RUNNING": parallelism} if job.state == "RUNNING" else {"CREATED": parallelism},
    }
    told = {"jid": job.job_id, "name": job.name, "state": job.state, "start-time": job.start_ms, "duration": 1}
    return {**told, "vertices": [vertex]}


def _checkpoints(job: Job) -> dict[str, object]:
    plain = [each for each in job.kept if not each["is_savepoint"]]
    savepoints = [each for each in job.kept if each["is_savepoint"]]
    restored = {"external_path": job.restored, "id": job.restored_id} if job.restored else None
    counts = {"completed": len(job.kept), "failed": 0, "in_progress": 0, "restored": int(restored is not None)}
    latest = {"completed": plain[0] if plain else None, "savepoint": savepoints[0] if savepoints else None}
    return {"counts": counts, "latest": latest | {"restored": restored}, "history": job.kept}


def _failures(job: Job) -> list[dict[str, object]]:
    failed = {"exceptionName": "X", "stacktrace": "ValueError: the new code is wrong", "timestamp": 1}
    return [failed] * 6 if job.state == "RESTARTING" else []

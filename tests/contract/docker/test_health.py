"""The health check, against a real local server."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from tests.contract.docker.facts import script

health = script("health")


class _TaskManagers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/taskmanagers" else 503)
        self.end_headers()
        self.wfile.write(b'{"taskmanagers": [{"id": "taskmanager-0-me"}]}')

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def url() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _TaskManagers) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def _problem(folder: Path, url: str, expected: str) -> str | None:
    file = folder / "health.json"
    file.write_text(json.dumps({"url": url, "expected": expected}))
    told = health.problem(file)
    assert told is None or isinstance(told, str)
    return told


def test_who_is_registered_is_healthy(tmp_path: Path, url: str) -> None:
    assert _problem(tmp_path, f"{url}/taskmanagers", "taskmanager-0-me") is None


def test_who_is_not_registered_is_told(tmp_path: Path, url: str) -> None:
    assert "does not name taskmanager-0-you" in str(_problem(tmp_path, f"{url}/taskmanagers", "taskmanager-0-you"))


def test_a_jobmanager_in_trouble_is_told(tmp_path: Path, url: str) -> None:
    assert "503" in str(_problem(tmp_path, f"{url}/overview", ""))


def test_nobody_there_is_told(tmp_path: Path) -> None:
    assert "refused" in str(_problem(tmp_path, "http://127.0.0.1:1/overview", ""))


def test_a_command_has_nothing_to_ask(tmp_path: Path) -> None:
    assert health.problem(tmp_path / "health.json") is None

"""The one address of all of a cluster's metrics: `python -I -S metrics_gateway.py [--host ADDRESS] --port PORT`.

Flink's Prometheus reporter can listen itself, but on every network address of the machine, whatever the settings are.
So Flink's processes push to this server, which listens on loopback, and Prometheus reads `/metrics` here. It takes the
part of the Pushgateway's interface that Flink uses: PUT, POST and DELETE of /metrics/job/NAME. What a process pushed
goes when the process says so, or has pushed nothing for a few intervals.

It imports only the standard library and is run by its path, so it starts in a few hundredths of a second.
"""

import argparse
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

INTERVAL_S = 5
"""Time from one push of a process to the next."""
KEPT_S = 4 * INTERVAL_S
"""Time after which a process that pushes nothing is forgotten."""
_PATH = "/metrics"
_PUSHED = "/metrics/job/"
_LARGEST_BYTES = 32 * 2**20
_MOST_PROCESSES = 1_000
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_HEADER = "# HELP "


@dataclass(frozen=True)
class _Push:
    """The metrics of a process, as it pushed them."""

    at: float
    text: str


class Pushed:
    """The newest push of each process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pushes: dict[str, _Push] = {}

    def put(self, process: str, text: str) -> bool:
        """Take a push in place of the process's last; return False if there are too many processes."""
        with self._lock:
            self._forget()
            if process not in self._pushes and len(self._pushes) >= _MOST_PROCESSES:
                return False
            self._pushes[process] = _Push(self._clock(), text)
            return True

    def remove(self, process: str) -> None:
        """Forget a process."""
        with self._lock:
            self._pushes.pop(process, None)

    def text(self) -> str:
        """Return the metrics of all processes; of a series that two pushed, the newer."""
        with self._lock:
            self._forget()
            newest_first = sorted(self._pushes.values(), key=lambda push: push.at, reverse=True)
        return merged(push.text for push in newest_first)

    def _forget(self) -> None:
        oldest = self._clock() - KEPT_S
        self._pushes = {process: push for process, push in self._pushes.items() if push.at >= oldest}


def merged(texts: Iterable[str]) -> str:
    """Return texts of Prometheus's format as one, in which each metric stands once; the first text's series win."""
    headers: dict[str, list[str]] = {}
    series: dict[str, dict[str, str]] = {}
    for text in texts:
        name = ""
        for line in text.splitlines():
            if line.startswith(_HEADER):
                name = line.split(" ", 3)[2]
            if not line.startswith("#"):
                series.setdefault(name, {}).setdefault(line.rpartition(" ")[0], line)
            elif len(headers.setdefault(name, [])) < 2:  # its meaning and its type
                headers[name].append(line)
    lines = (line for name, own in headers.items() for line in (*own, *series.get(name, {}).values()))
    return "".join(f"{line}\n" for line in lines)


class _Handler(BaseHTTPRequestHandler):
    """A request of a process of Flink's, or of Prometheus."""

    timeout = 10
    pushed: Pushed

    def do_GET(self) -> None:
        """Answer with all metrics."""
        if self.path.partition("?")[0] != _PATH:
            self._answer(HTTPStatus.NOT_FOUND, f"only {_PATH} is here\n")
            return
        self._answer(HTTPStatus.OK, self.pushed.text())

    def do_PUT(self) -> None:
        """Take a push."""
        try:
            size = int(self.headers.get("Content-Length", ""))
        except ValueError:
            self._answer(HTTPStatus.LENGTH_REQUIRED, "a push needs a Content-Length\n")
            return
        if not self.path.startswith(_PUSHED) or not 0 <= size <= _LARGEST_BYTES:
            self.close_connection = True
            self._answer(HTTPStatus.BAD_REQUEST, f"push up to {_LARGEST_BYTES} bytes to {_PUSHED}NAME\n")
            return
        taken = self.pushed.put(self.path, self.rfile.read(size).decode(errors="replace"))
        self._answer(HTTPStatus.ACCEPTED if taken else HTTPStatus.TOO_MANY_REQUESTS, "")

    do_POST = do_PUT

    def do_DELETE(self) -> None:
        """Forget a process."""
        self.pushed.remove(self.path)
        self._answer(HTTPStatus.ACCEPTED, "")

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: a request comes every few seconds, from each process."""

    def _answer(self, status: HTTPStatus, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", _TEXT)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def server(host: str, port: int) -> ThreadingHTTPServer:
    """Return a server that listens at an address, with nothing pushed yet.

    Raises:
        OSError: the port is taken.
    """
    handler = type("Handler", (_Handler,), {"pushed": Pushed()})
    return ThreadingHTTPServer((host, port), handler)


def main() -> None:
    """Serve until the process is ended."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    given = parser.parse_args()
    server(given.host, given.port).serve_forever()


if __name__ == "__main__":
    main()

"""Real servers that stand where a JobManager is looked for: a proxy below a path, https, something else."""

import ssl
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Page:
    """What one path answers."""

    body: bytes = b"{}"
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Web(ThreadingHTTPServer):
    """Answers each path with its page, any other with `otherwise`."""

    daemon_threads = True

    def __init__(self, pages: Mapping[str, Page], otherwise: Page) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages, self.otherwise = pages, otherwise
        self.asked: list[str] = []
        self.scheme = "http"

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Web

    def reply(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.asked.append(self.path)
        page = self.server.pages.get(self.path, self.server.otherwise)
        self.send_response(page.status)
        for name, value in {"Content-Length": str(len(page.body)), **page.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(page.body)

    do_GET = do_POST = do_PATCH = do_PUT = reply

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def web(
    pages: Mapping[str, Page] | None = None,
    otherwise: Page = Page(b'{"errors": ["Not found"]}', 404),  # noqa: B008 (never changed)
    certificate: Path | None = None,
) -> Iterator[Web]:
    """A server for the time of a test; with a certificate (and its key in the same file) it speaks https."""
    with Web(pages or {}, otherwise) as server:
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
            server.scheme = "https"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def make_certificate(folder: Path) -> Path:
    """A certificate for 127.0.0.1 that signs itself, with its key, in one PEM file."""
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    both.write_text(key.read_text() + certificate.read_text())
    return both

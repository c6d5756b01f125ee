"""The servers that reads are measured on, each as a process of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from job.bench.errors import BenchError
from job.settings.job_settings import load as load_settings

READY_S = 300.0


@contextmanager
def server_process(target: Any, *given: Any) -> Iterator[int]:
    """Run a server as a process, and yield its port.

    Args:
        target: `serve` or `serve_bare`.
        given: its arguments after the first.

    Raises:
        BenchError: it did not start.
    """
    spawn = get_context("spawn")
    here, there = spawn.Pipe()
    process = spawn.Process(target=target, args=(there, *given), daemon=True)
    process.start()
    try:
        if not here.poll(READY_S):
            msg = "the server did not start"
            raise BenchError(msg)
        yield int(here.recv())
    finally:
        process.terminate()
        process.join()


def serve(ready: Connection, folder: Path, bundle: Path) -> None:
    """Run `recloop serve` over the log, the lists and the tables in a folder, without a limit on requests."""
    from job.serving.running import run
    from job.serving.serve_settings import serve_settings

    given = (f"log.folder={folder}/log", f"publish.lists_folder={folder}/lists", f"tables.folder={folder}/tables")
    job = load_settings(overrides=given, needs_model=False).resolved()
    settings = serve_settings(port=0, store=folder / "store", bundle=bundle, rate=1_000_000, burst=10_000_000)
    run(job, settings, on_ready=lambda text: ready.send(_port(text)))


def serve_bare(ready: Connection, answer: bytes) -> None:
    """Run an ASGI application that answers everything with the same bytes."""
    import asyncio
    import socket

    import uvicorn

    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": answer})

    listening = socket.create_server(("127.0.0.1", 0))
    ready.send(listening.getsockname()[1])
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, lifespan="off")
    asyncio.run(uvicorn.Server(config).serve(sockets=[listening]))


def _port(sentence: str) -> int:
    """Return the port in "Serving at http://127.0.0.1:8080; ..."."""
    return int(sentence.split()[2].rstrip(";").rpartition(":")[2])

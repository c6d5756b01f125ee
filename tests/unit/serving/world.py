"""A behaviour log and a lists log in a folder, and servers over both, asked in this process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from job.replay.log_writer import LogWriter, create_log
from job.serving.app import create_app
from job.serving.serve_settings import ServeSettings, serve_settings
from job.serving.serving import Serving, open_serving
from job.settings.job_settings import JobSettings, load
from model.records import UserBehavior
from model.waiting import wait_until
from udfs.publishing.list_files import ListFile
from udfs.rows import RecommendationListRow, to_lines


@dataclass
class World:
    """A behaviour log and a lists log as the job's own writers write them, and servers over both."""

    folder: Path
    options: dict[str, Any] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        create_log(self.folder / "log", 2)
        create_log(self.folder / "lists", 4)

    @property
    def job(self) -> JobSettings:
        given = (f"log.folder={self.folder}/log", f"publish.lists_folder={self.folder}/lists")
        tables = f"tables.folder={self.folder}/tables"
        return load(overrides=(*given, tables, "trends.interval=PT0.1S", *self.overrides), needs_model=False).resolved()

    @property
    def settings(self) -> ServeSettings:
        return serve_settings(**{"store": self.folder / "store", "host_names": "test", **self.options})

    def publish(self, *rows: RecommendationListRow, partition: int = 0) -> None:
        file = ListFile(self.folder / "lists", partition)
        file.append(to_lines(rows))
        file.close()

    def log(self, *behaviors: UserBehavior) -> None:
        with LogWriter(self.folder / "log") as writer:
            writer.append(behaviors)

    def serving(self) -> Any:
        return open_serving(self.job, self.settings)

    def ask(self, question: Callable[["Client"], Awaitable[None]]) -> None:
        """Run a test's coroutine against a server that has read all that is there."""

        async def run() -> None:
            async with self.client() as client:
                await question(client)

        asyncio.run(run())

    @asynccontextmanager
    async def client(self, *, wait: bool = True) -> AsyncIterator["Client"]:
        with self.serving() as serving:
            if wait:
                read_everything(serving)
            app = create_app(serving)
            async with app.router.lifespan_context(app):
                transport = httpx.ASGITransport(app, raise_app_exceptions=False)
                async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
                    yield Client(http, serving)


@dataclass
class Client:
    http: httpx.AsyncClient
    serving: Serving

    async def get(self, path: str, **params: Any) -> Any:
        answer = await self.http.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def items(self, user_id: str, **params: Any) -> list[str]:
        answer = await self.get(f"/users/{user_id}/recommendations", **params)
        return [each["item_id"] for each in answer["items"]]

    async def post(self, *behaviors: dict[str, Any], status: int = 202) -> Any:
        answer = await self.http.post("/behaviors", json={"behaviors": list(behaviors)})
        assert answer.status_code == status, answer.text
        return answer.json()

    def wait_for_problem(self) -> None:
        assert wait_until(lambda: self.serving.follower.state().problem, timeout_s=60, poll_s=0.002)

    async def read(self) -> None:
        await asyncio.to_thread(read_everything, self.serving)


def read_everything(serving: Serving) -> None:
    """Wait until the follower has read all that was there when this was called."""
    before = serving.follower.state().rounds
    assert wait_until(
        lambda: (state := serving.follower.state()).rounds >= before + 2 and not state.behind,
        timeout_s=60,
        poll_s=0.002,
    )

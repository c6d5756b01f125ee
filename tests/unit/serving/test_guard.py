"""The guard: keys, rate, lengths, names, and that nothing answers with a trace."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from job.serving.errors import ServingError
from job.serving.follower import FollowerState
from job.serving.guard import RateLimit
from job.serving.health import health
from job.serving.serve_settings import serve_settings
from tests.unit.serving.world import Client, World

KEY = "0123456789abcdef"


def test_with_keys_every_request_needs_one_but_the_probes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RECLOOP_SERVE_KEYS", f"another-key-of-16,{KEY}")

    async def ask(client: Client) -> None:
        for path in ("/users/u/recommendations", "/metrics", "/openapi.json", "/events", "/nowhere"):
            answer = await client.http.get(path)
            assert answer.status_code == 401, path
            assert answer.json()["status"] == 401
        assert (await client.http.get("/healthz")).status_code == 200
        for wrong in (f"Bearer {KEY}x", f"Basic {KEY}", KEY, "Bearer"):
            headers = {"authorization": wrong}
            assert (await client.http.get("/trending", headers=headers)).status_code == 401, wrong
        for right in (f"Bearer {KEY}", f"bearer  {KEY}"):
            assert (await client.http.get("/trending", headers={"authorization": right})).status_code == 200

    world.ask(ask)
    assert KEY not in repr(world.settings)


def test_a_client_that_asks_too_often_is_told_when_to_come_again(world: World) -> None:
    world.options = {"rate": 0.1, "burst": 3}

    async def ask(client: Client) -> None:
        statuses = [(await client.http.get("/trending")).status_code for _ in range(5)]
        assert statuses == [200, 200, 200, 429, 429]
        answer = await client.http.get("/trending")
        assert int(answer.headers["retry-after"]) >= 1
        assert (await client.http.get("/readyz")).status_code == 200

    world.ask(ask)


def test_the_rate_is_each_clients_own_and_comes_back() -> None:
    limit = RateLimit(rate=2.0, burst=2)
    assert [limit.wait_s("a", 0.0) for _ in range(3)] == [0.0, 0.0, 0.5]
    assert limit.wait_s("b", 0.0) == 0.0
    assert limit.wait_s("a", 0.5) == 0.0
    assert limit.wait_s("a", 0.5) > 0


def test_bodies_and_batches_are_bounded(world: World) -> None:
    world.options = {"body_bytes": 2_000, "batch": 2}

    async def ask(client: Client) -> None:
        click = {"user_id": "u", "action": "click", "item_id": "x"}
        await client.post(*[click] * 3, status=413)
        await client.post(click | {"item_id": "x" * 3_000}, status=413)
        await client.post(*[click] * 2)

        async def parts() -> Any:
            for _ in range(30):
                yield b" " * 100

        headers = {"content-type": "application/json"}
        assert (await client.http.post("/behaviors", content=parts(), headers=headers)).status_code == 413

    world.ask(ask)


def test_only_known_names_are_answered(world: World) -> None:
    async def ask(client: Client) -> None:
        for name in ("evil.example", "evil.example:8080", ""):
            answer = await client.http.get("/trending", headers={"host": name})
            assert answer.status_code == 421, name
        for name in ("localhost:8080", "127.0.0.1", "[::1]:80", "TEST"):
            assert (await client.http.get("/trending", headers={"host": name})).status_code == 200, name

    world.ask(ask)


def test_no_other_origin_is_let_in_and_answers_are_no_documents(world: World) -> None:
    async def ask(client: Client) -> None:
        headers = {"origin": "http://evil.example", "access-control-request-method": "POST"}
        answer = await client.http.options("/behaviors", headers=headers)
        assert answer.status_code == 405
        assert "access-control-allow-origin" not in answer.headers
        answer = await client.http.get("/trending", headers=headers)
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        assert answer.headers["x-content-type-options"] == "nosniff"

    world.ask(ask)


def test_what_is_refused_is_a_problem_document(world: World) -> None:
    async def ask(client: Client) -> None:
        for path, status in (
            ("/nowhere", 404),
            ("/users/u/recommendations?n=0", 422),
            ("/users/u/recommendations?after=x", 422),
            ("/items/x/similar", 404),
            (f"/users/{'x' * 300}/recommendations", 422),
        ):
            answer = await client.http.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), path
            assert answer.json()["detail"]
        assert (await client.http.delete("/behaviors")).status_code == 405

    world.ask(ask)


def test_a_fault_of_the_server_is_a_problem_document_without_a_trace(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> Any:
        msg = "a secret of the server"
        raise ZeroDivisionError(msg)

    async def ask(client: Client) -> None:
        monkeypatch.setattr(client.serving.store, "list_of", fail)
        for query in ("", "?exclude=x"):  # the short way and the long one
            answer = await client.http.get(f"/users/u/recommendations{query}")
            assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
            assert "secret" not in answer.text

    world.ask(ask)


def test_beyond_loopback_only_with_keys_and_tls(tmp_path: Path) -> None:
    files = {"tls_certificate": tmp_path / "c", "tls_key": tmp_path / "k"}
    for given in ({}, files, {"keys": KEY}):
        with pytest.raises(ServingError, match="beyond loopback"):
            serve_settings(host="0.0.0.0", **given)
    assert not serve_settings(host="0.0.0.0", keys=KEY, **files).on_loopback
    assert serve_settings(host="::1").on_loopback
    with pytest.raises(ServingError, match="together"):
        serve_settings(tls_key=tmp_path / "k")


def test_a_key_that_is_short_or_a_file_without_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ServingError, match="16 ASCII characters"):
        serve_settings(keys="short").read_keys()
    with pytest.raises(ServingError, match="cannot be read"):
        serve_settings(keys_file=tmp_path / "none").read_keys()
    (tmp_path / "keys").write_text("# mine\n\n")
    with pytest.raises(ServingError, match="no API key"):
        serve_settings(keys_file=tmp_path / "keys").read_keys()
    (tmp_path / "keys").write_text(f"# mine\n{KEY}\n")
    assert serve_settings(keys_file=tmp_path / "keys").read_keys() == (KEY,)


def test_health_says_what_is_missing_and_comes_back_by_itself(world: World) -> None:
    (world.folder / "lists" / "log.json").unlink()

    async def ask(client: Client) -> None:
        answer = await client.http.get("/readyz")
        assert answer.status_code == 503
        assert "lists" in answer.json()["problem"]
        assert (await client.http.get("/healthz")).status_code == 200

    async def run() -> None:
        async with world.client(wait=False) as client:
            await asyncio.to_thread(client.wait_for_problem)
            await ask(client)
            (world.folder / "lists" / "log.json").write_text('{"format": 1, "partitions": 4}')
            await client.read()
            assert (await client.http.get("/readyz")).status_code == 200

    asyncio.run(run())


def test_a_server_far_behind_says_so() -> None:
    now_ms = 1_700_000_000_000
    assert "first time" in str(health(FollowerState(), now_ms).problem)
    assert health(FollowerState(read_at_ms=now_ms - 60_000), now_ms).ok
    behind = health(FollowerState(read_at_ms=now_ms - 60_001), now_ms)
    assert not behind.ok
    assert "more than 60 s old" in str(behind.problem)
    assert health(FollowerState(problem="the log is away", read_at_ms=now_ms), now_ms).problem == "the log is away"


def test_metrics_count_requests_by_route_and_what_was_read(world: World) -> None:
    async def ask(client: Client) -> None:
        await client.items("u")
        await client.http.get("/nowhere")
        text = (await client.http.get("/metrics")).text
        assert 'route="/users/{user_id:path}/recommendations",status="200"} 1' in text
        assert 'route="none",status="404"} 1' in text
        assert "recloop_serve_up 1" in text

    world.ask(ask)

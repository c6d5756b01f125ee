"""Behaviours as clients send them."""

import asyncio
import json
from pathlib import Path
from typing import Any

from job.replay.log_writer import PartitionWriter
from tests.unit.serving.lists import behavior, list_row
from tests.unit.serving.world import Client, World
from udfs.hashing import stable_hash


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for file in sorted(folder.glob("*.jsonl")) for line in file.read_bytes().splitlines()]


def test_the_answer_says_where_each_behaviour_is(world: World) -> None:
    async def ask(client: Client) -> None:
        first = await client.post({"user_id": "u", "action": "click", "item_id": "x"})
        second = await client.post(*({"user_id": user, "action": "buy", "item_id": "y"} for user in ("u", "v", "u")))
        partition = stable_hash("u") % 2
        assert first["positions"] == [{"partition": partition, "offset": 0, "duplicate": False}]
        assert [each["offset"] for each in second["positions"] if each["partition"] == partition][:2] == [1, 2] or (
            stable_hash("v") % 2 == partition
        )
        assert second["after"] == "{partition}:{offset}".format(**second["positions"][-1])
        await client.read()
        seen = (await client.get("/users/u/behaviors"))["behaviors"]
        places = [(each["log_partition"], each["log_offset"]) for each in seen]
        own = [second["positions"][2], second["positions"][0], first["positions"][0]]
        assert places == [(each["partition"], each["offset"]) for each in own]

    world.ask(ask)
    assert len(lines_of(world.folder / "log")) == 4
    assert all(line["appended_at"] >= line["timestamp"] for line in lines_of(world.folder / "log"))


def test_one_that_the_job_would_not_take_is_refused_and_nothing_is_appended(world: World) -> None:
    good = {"user_id": "u", "action": "click", "item_id": "x"}
    bad: list[dict[str, Any]] = [
        good | {"action": "unknown"},
        good | {"timestamp": -1},
        good | {"timestamp": 1_700_000_000},
        good | {"timestamp": 2**62},
        good | {"user_id": "é" * 200},
        good | {"position": 2**31},
        good | {"more": 1},
        {"user_id": "u", "action": "click"},
        {"user_id": "u", "action": "impression", "request_id": "never"},
    ]

    async def ask(client: Client) -> None:
        for each in bad:
            problem = await client.post(good, each, status=422)
            assert problem["status"] == 422
            assert problem["detail"]
        for body in (b"", b"[", b"[]", b"7", b'{"behaviors":[]}', b"\xff", b"[" * 10_000):
            answer = await client.http.post("/behaviors", content=body, headers={"content-type": "application/json"})
            assert answer.status_code in {400, 422}, body
            assert answer.headers["content-type"] == "application/problem+json"
        assert (await client.http.post("/behaviors", content=b"{}")).status_code == 415

    world.ask(ask)
    assert lines_of(world.folder / "log") == []


def test_an_event_is_appended_once_however_often_and_by_whichever_process_it_is_sent(world: World) -> None:
    event = {"user_id": "u", "action": "click", "item_id": "x", "event_id": "e1"}

    async def send(client: Client) -> None:
        answers = await asyncio.gather(*(client.post(event, event) for _ in range(3)))
        assert {each["after"] for each in answers} == {answers[0]["after"]}

    world.ask(send)
    world.options = {"store": world.folder / "other"}
    world.ask(send)
    assert len(lines_of(world.folder / "log")) == 1


def test_impressions_are_made_of_what_was_served(world: World) -> None:
    world.publish(list_row())

    async def ask(client: Client) -> None:
        request_id = (await client.get("/users/u/recommendations", n=2))["request_id"]
        shown = {"user_id": "u", "action": "impression", "request_id": request_id}
        assert len((await client.post(shown))["positions"]) == 2
        again = await client.post(shown)
        assert [each["duplicate"] for each in again["positions"]] == [True, True]
        await client.post(shown | {"user_id": "another"}, status=422)

    world.ask(ask)
    found = [(line["item_id"], line["position"]) for line in lines_of(world.folder / "log")]
    assert found == [("a", 0), ("b", 1)]


def test_another_writer_is_waited_for_and_then_named(world: World) -> None:
    async def ask(client: Client) -> None:
        click = {"user_id": "u", "action": "click", "item_id": "x"}
        writer = PartitionWriter(world.folder / "log", stable_hash("u") % 2)
        sending = asyncio.ensure_future(client.post(click))
        await asyncio.sleep(0.05)
        writer.close()
        assert (await sending)["positions"][0]["offset"] == 0
        writer = PartitionWriter(world.folder / "log", stable_hash("u") % 2)
        try:
            problem = await client.post(click, status=503)
        finally:
            writer.close()
        assert "another program writes the log" in problem["detail"]

    world.ask(ask)


def test_a_read_after_a_write_waits_for_a_list_that_has_seen_it(world: World) -> None:
    async def ask(client: Client) -> None:
        after = (await client.post({"user_id": "u", "action": "click", "item_id": "a"}))["after"]
        partition, offset = map(int, after.split(":"))
        stale = await client.get("/users/u/recommendations", after=after, wait_ms=1)
        assert stale["stale"] is True
        waiting = asyncio.ensure_future(client.get("/users/u/recommendations", after=after, wait_ms=5_000))
        await asyncio.sleep(0.02)
        world.publish(list_row(items=("b",), log_partition=partition, log_offset=offset))
        answer = await waiting
        assert (answer["stale"], [each["item_id"] for each in answer["items"]]) == (False, ["b"])

    world.ask(ask)


def test_a_duplicate_and_a_dead_letter_are_seen_as_soon_as_they_are_read(world: World) -> None:
    partition = stable_hash("u") % 2
    world.publish(list_row(log_partition=partition, log_offset=0))
    world.log(behavior(event_id="e"), behavior(event_id="e"), behavior(action="unknown"), behavior(item_id="z"))

    async def ask(client: Client) -> None:
        for offset, stale in enumerate((False, False, False, True)):
            answer = await client.get("/users/u/recommendations", after=f"{partition}:{offset}", wait_ms=0)
            assert answer["stale"] is stale, offset
        answer = await client.get("/users/u/recommendations", after=f"{partition}:4", wait_ms=0)
        assert answer["stale"] is True, "nobody knows yet what comes there"

    world.ask(ask)

"""What a server knows of items by its bundle: similar ones, titles, and the popular ones for who is unknown."""

from pathlib import Path

import pytest

from tests.unit.model.tiny_bundle import write_tiny
from tests.unit.serving.lists import behavior, list_row
from tests.unit.serving.world import Client, World

pytestmark = pytest.mark.heavy


def test_similar_titled_and_popular_items_are_those_of_the_bundle(world: World, tmp_path: Path) -> None:
    world.options = {"bundle": write_tiny(tmp_path / "bundle", "1").path}
    world.publish(list_row("u", ("b", "x")))
    world.log(behavior("v", "hot"))

    async def ask(client: Client) -> None:
        assert [(each["item_id"], each["title"]) for each in (await client.get("/items/a/similar"))["items"]] == [
            ("b", "B")
        ]
        assert (await client.http.get("/items/x/similar")).status_code == 404
        shown = (await client.get("/users/u/recommendations"))["items"]
        assert [(each["item_id"], each["title"]) for each in shown] == [("b", "B"), ("x", None)]
        unknown = await client.get("/users/nobody/recommendations")
        assert [(each["item_id"], each["reason"]) for each in unknown["items"]] == [
            ("hot", "trending"),
            ("a", "popular"),
        ]
        assert unknown["source"] == "trending"

    world.ask(ask)


def test_nobody_gets_a_withdrawn_item_among_similar_and_popular_ones(world: World, tmp_path: Path) -> None:
    world.options = {"bundle": write_tiny(tmp_path / "bundle", "1").path}
    world.overrides = ('lists.withdrawn=["a", "b"]',)

    async def ask(client: Client) -> None:
        assert (await client.get("/items/a/similar"))["items"] == []
        unknown = await client.get("/users/nobody/recommendations")
        assert (unknown["items"], unknown["source"]) == ([], "none")

    world.ask(ask)

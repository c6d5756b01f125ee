"""Lists as readers get them."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from job.serving.catalogue import Catalogue
from job.serving.history import History
from job.serving.recommend import ReadRules, recommendations
from model.actions import DEFAULT_ACTIONS
from tests.unit.serving.lists import behavior, list_row
from tests.unit.serving.world import Client, World


def test_a_published_list_is_served_with_its_scores_reasons_and_versions(world: World) -> None:
    world.publish(list_row(reasons=["model", "because:x", "trending"], list_version=7))

    async def ask(client: Client) -> None:
        answer = await client.get("/users/u/recommendations")
        assert [(each["item_id"], each["reason"]) for each in answer["items"]] == [
            ("a", "model"),
            ("b", "because:x"),
            ("c", "trending"),
        ]
        assert answer["source"] == "list"
        assert (answer["list_version"], answer["model_version"], answer["variant"]) == (7, "1", "default")
        assert answer["age_ms"] > 0

    world.ask(ask)


def test_n_and_exclude_shorten_a_list(world: World) -> None:
    world.publish(list_row())

    async def ask(client: Client) -> None:
        assert await client.items("u", n=2) == ["a", "b"]
        assert await client.items("u", exclude=["a", "c"]) == ["b"]
        assert await client.items("u", n=1, exclude=["a"]) == ["b"]

    world.ask(ask)


def test_what_was_acted_on_since_the_list_is_left_out(world: World) -> None:
    world.log(
        *(
            behavior(item_id=item, action=action)
            for item, action in (
                ("x", "click"),
                ("a", "click"),
                ("b", "dislike"),
                ("c", "buy"),
                ("d", "impression"),
                ("c", "return"),
            )
        )
    )
    world.publish(list_row(items=("a", "b", "c", "d")))

    async def ask(client: Client) -> None:
        world_partition = client.serving.store.behaviors_of("u")[0].log_partition
        world.publish(list_row(items=("a", "b", "c", "d"), log_partition=world_partition, list_version=2))
        await client.read()
        assert await client.items("u") == ["c", "d"]
        world.publish(list_row(items=("a", "b"), log_partition=world_partition, list_version=3, log_offset=2))
        await client.read()
        assert await client.items("u") == ["a", "b"], "a list that has seen a behaviour is the judge of it"

    world.ask(ask)


def test_withdrawn_items_are_shown_to_nobody(world: World) -> None:
    world.overrides = ('lists.withdrawn=["a"]',)
    world.publish(list_row())

    async def ask(client: Client) -> None:
        answer = await client.get("/users/u/recommendations")
        assert [each["item_id"] for each in answer["items"]] == ["b", "c"]
        assert answer["removed"] == 1
        assert [each["position"] for each in answer["items"]] == [0, 1]

    world.ask(ask)


def test_an_unknown_user_gets_what_is_trending_and_the_answer_says_so(world: World) -> None:
    world.log(behavior("v", "hot"), behavior("w", "hot"), behavior("w", "warm"))

    async def ask(client: Client) -> None:
        answer = await client.get("/users/nobody/recommendations")
        assert answer["source"] == "trending"
        assert [(each["item_id"], each["reason"]) for each in answer["items"]] == [
            ("hot", "trending"),
            ("warm", "trending"),
        ]
        assert await client.items("w") == [], "who acted on both and has no list yet gets neither again"

    world.ask(ask)


@given(
    st.lists(st.sampled_from("abcdef"), unique=True),
    st.lists(st.sampled_from("abcdef"), unique=True),
    st.sets(st.sampled_from("abcdef")),
    st.integers(1, 6),
)
def test_who_is_unknown_gets_trending_then_popular_items_each_once_and_marked(
    trends: list[str], popular: list[str], hidden: set[str], n: int
) -> None:
    answer = recommendations(
        "nobody",
        None,
        History(),
        rules=ReadRules(actions=DEFAULT_ACTIONS, withdrawn=lambda: hidden, exclude_seen=True),
        catalogue=Catalogue(popular=popular),
        trending=dict.fromkeys(trends, 1.0),
        n=n,
        exclude=(),
        now_ms=0,
    )
    shown = [item for item in trends if item not in hidden]
    rest = [item for item in popular if item not in hidden and item not in shown]
    marked = [(item, "trending") for item in shown] + [(item, "popular") for item in rest]
    assert [(each.item_id, each.reason) for each in answer.items] == marked[:n]
    assert answer.source == (marked[0][1] if marked else "none")
    assert answer.list_version is None


def test_a_restart_goes_on_from_its_position(world: World) -> None:
    world.log(behavior(item_id="x"))
    world.publish(list_row())

    async def first(client: Client) -> None:
        assert client.serving.follower.state().lists == 1

    async def second(client: Client) -> None:
        assert client.serving.follower.state().lists == 1, "only the one that came meanwhile"
        assert client.serving.follower.state().behaviors == 0
        assert await client.items("u") == ["b"]
        assert len((await client.get("/users/u/behaviors"))["behaviors"]) == 1
        assert (await client.get("/trending"))["items"][0]["item_id"] == "x"

    world.ask(first)
    world.publish(list_row(items=("b",), list_version=2))
    world.ask(second)


def test_a_list_of_an_older_attempt_replaces_none(world: World) -> None:
    world.publish(list_row(items=("new",), epoch=2, list_version=3))
    world.publish(list_row(items=("old",), epoch=1, list_version=9), partition=1)

    async def ask(client: Client) -> None:
        assert await client.items("u") == ["new"]

    world.ask(ask)


def test_the_short_way_answers_as_the_long_one(world: World) -> None:
    world.publish(list_row("u/é recommendations", ("a", "b", "c")))

    async def ask(client: Client) -> None:
        path = "/users/u%2F%C3%A9%20recommendations/recommendations"
        short = [(await client.http.get(path + query)).json() for query in ("", "?n=2", "?n=999")]
        long = [(await client.http.get(path + query)).json() for query in ("?n=10", "?n=02", "?n=999&wait_ms=0")]
        for one, other in zip(short, long, strict=True):
            assert one["items"]
            assert without_times(one) == without_times(other)
        assert (await client.http.get(path + "?n=0")).status_code == 422
        assert (await client.http.post(path)).status_code == 405

    world.ask(ask)


def without_times(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name not in {"request_id", "age_ms"}}

"""Every answer keeps to OpenAPI, whatever is asked: schemathesis against the application over real logs, with a key."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance

from job.serving.app import create_app
from job.serving.guard import OPEN_PATHS
from tests.unit.serving.lists import behavior, list_row
from tests.unit.serving.world import Client, World, read_everything

pytestmark = pytest.mark.heavy
KEY = "0123456789abcdef"
_SIGNED = {"Authorization": f"Bearer {KEY}"}
_FEW = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder: Path = tmp_path_factory.mktemp("api")
    options = {"host_names": "testserver,localhost", "rate": 100_000, "burst": 1_000_000, "keys": KEY}
    world = World(folder, options)
    world.log(behavior(), behavior("v", "hot"))
    world.publish(list_row())
    config = SchemathesisConfig.from_dict({"auth": {"openapi": {"key": {"bearer": KEY}}}})
    with world.serving() as serving:
        read_everything(serving)
        app = create_app(serving)
        document = schemathesis.openapi.from_asgi("/openapi.json", app, config=config, headers=_SIGNED)
        yield document.exclude(path_regex="events$")


def test_every_answer_keeps_to_the_document(api: Any) -> None:
    tried = 0
    for operation in api.get_all_operations():

        @given(operation.ok().as_strategy())
        @_FEW
        def check(case: Any) -> None:
            # That a behaviour's time is possible, and of what an impression is, no schema says.
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        check()
        tried += 1
    assert tried == 8


def test_an_operation_that_is_marked_for_a_key_refuses_whoever_has_none(api: Any) -> None:
    for path in ("/trending", "/metrics", "/users/{user_id}/recommendations"):
        case = api[path]["GET"].Case(path_parameters={"user_id": "u"} if "{" in path else {})
        case.call_and_validate(checks=[ignored_auth])
        assert case.call(headers={"Authorization": "Bearer none"}).status_code == 401


def test_so_does_every_answer_of_a_run_of_requests(api: Any) -> None:
    """A behaviour is sent, and the list read that has seen it, by the document's own link."""
    accepted: set[str] = set()
    followed = Counter[bool | None]()

    class Machine(api.as_state_machine()):  # type: ignore[misc]
        def after_call(self, response: Any, case: Any) -> None:
            super().after_call(response, case)
            if response.status_code == 202:
                accepted.add(response.json()["after"])
            elif response.status_code == 200 and (case.query or {}).get("after") in accepted:
                followed[response.json()["stale"]] += 1

        def validate_response(self, response: Any, case: Any, additional_checks: Any = None, **options: Any) -> None:
            case.validate_response(response, excluded_checks=[positive_data_acceptance], transport_kwargs=options)

    Machine.run(settings=settings(_FEW, max_examples=10, stateful_step_count=10))
    assert followed
    assert followed[None] == 0


def test_the_document_marks_what_needs_a_key(world: World) -> None:
    async def marked(client: Client, headers: dict[str, str]) -> dict[str, Any]:
        paths = (await client.http.get("/openapi.json", headers=headers)).json()["paths"]
        return {path: each["security"] for path, found in paths.items() for each in found.values()}

    async def keyed(client: Client) -> None:
        found = await marked(client, _SIGNED)
        assert len(found) == 10
        assert found == {path: [] if path in OPEN_PATHS else [{"key": []}] for path in found}

    async def open_to_all(client: Client) -> None:
        found = await marked(client, {})
        assert found["/trending"] == [{}, {"key": []}]

    world.ask(open_to_all)
    world.options = {"keys": KEY}
    world.ask(keyed)

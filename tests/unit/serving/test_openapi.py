"""Every answer keeps to OpenAPI, whatever is asked: schemathesis against the application over real logs."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance

from job.serving.app import create_app
from tests.unit.serving.lists import behavior, list_row
from tests.unit.serving.world import World, read_everything

pytestmark = pytest.mark.heavy
_FEW = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    folder: Path = tmp_path_factory.mktemp("api")
    world = World(folder, {"host_names": "testserver,localhost", "rate": 100_000, "burst": 1_000_000})
    world.log(behavior(), behavior("v", "hot"))
    world.publish(list_row())
    with world.serving() as serving:
        read_everything(serving)
        yield schemathesis.openapi.from_asgi("/openapi.json", create_app(serving)).exclude(path_regex="events$")


def test_every_answer_keeps_to_the_document(api: Any) -> None:
    tried = 0
    for operation in api.get_all_operations():

        @given(operation.ok().as_strategy())
        @_FEW
        def check(case: Any) -> None:
            # That a behaviour's action is in the job's table, and its time possible, no schema says.
            case.call_and_validate(excluded_checks=[positive_data_acceptance])

        check()
        tried += 1
    assert tried == 8


def test_so_does_every_answer_of_a_run_of_requests(api: Any) -> None:
    machine = api.as_state_machine()
    machine.run(settings=settings(_FEW, max_examples=5, stateful_step_count=10))

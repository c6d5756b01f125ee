"""Fixtures of the operators' tests."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from udfs.flink import collector


@pytest.fixture(scope="module", autouse=True)
def _operators_collect_no_garbage(request: pytest.FixtureRequest) -> Iterator[None]:
    """Have an operator's `open` leave the garbage of the test process alone: there it takes a second, per example."""
    with pytest.MonkeyPatch.context() as patch:
        if not request.module.__name__.endswith("test_collector"):
            idle = SimpleNamespace(unfreeze=lambda: None, collect=lambda: 0, freeze=lambda: None)
            patch.setattr(collector, "gc", idle)
        yield

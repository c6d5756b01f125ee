"""One torch thread: the models here are so small that a second one only waits."""

import sys

import pytest


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    if "torch" in sys.modules:  # light tests do without
        sys.modules["torch"].set_num_threads(1)

"""The options and fixtures of all tests."""

import re
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import settings
from typer.main import get_command

from job.cluster import ClusterSpec, RunningCluster
from job.trial import trial_cluster

pytest_plugins = ["tests.job.fixtures", "tests.kafka.fixtures"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # In the background of a shell SIGINT is ignored, by every child too; tests send it to theirs.
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("recloop", max_examples=50, deadline=None)
settings.register_profile("while-you-write", max_examples=10, deadline=None)
_HEAVY = re.compile(r"^pytestmark = .*\bpytest\.mark\.heavy\b", re.MULTILINE)


def pytest_configure(config: pytest.Config) -> None:
    """Try fewer examples of each property in `make test-unit`."""
    settings.load_profile("while-you-write" if "not heavy" in config.option.markexpr else "recloop")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave heavy files unread where they are not wanted: importing torch takes longer than a hundred light tests."""
    if "not heavy" not in config.option.markexpr or collection_path.suffix != ".py":
        return None
    return bool(_HEAVY.search(collection_path.read_text())) or None


@pytest.fixture(autouse=True, scope="session")
def _commands_made_once() -> Iterator[None]:
    """Keep an app's commands: the runner makes them anew for each call, which takes longer than most calls."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", cache(get_command))
        yield


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCluster]:
    """One JobManager and two TaskManagers of one slot each, on free ports; shared by all tests that need a cluster."""
    spec = ClusterSpec(tmp_path_factory.mktemp("cluster"), task_managers=2)
    with trial_cluster(spec, timeout_s=120) as running:
        yield running

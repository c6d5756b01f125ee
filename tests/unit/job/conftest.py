"""A cluster that answers at once, and deployments to it."""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from job.deployment.deploy import Deployment, DeployRequest, deploy
from job.settings.job_settings import load
from tests.unit.job.flink_stand_in import FlinkStandIn

Deploy = Callable[..., Deployment]


@pytest.fixture
def flink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FlinkStandIn]:
    monkeypatch.setattr("job.deployment.settling._POLL_S", 0.01)  # it answers at once
    server = FlinkStandIn(tmp_path / "cluster é %41 #1")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def put(flink: FlinkStandIn, tmp_path: Path) -> Deploy:
    """Deploys; the log grows by ten before."""

    def deployed(*overrides: str, is_local: bool = True, **how: Any) -> Deployment:
        flink.log_length += 10
        given = [
            f"log.folder={json.dumps(str(tmp_path / 'log'))}",
            f"tables.folder={json.dumps(str(tmp_path / 'tables'))}",
            "lists.policy=history",
            *overrides,
        ]
        target, settings = flink.target(is_local=is_local), load(overrides=given)
        return deploy(DeployRequest(target=target, settings=settings, code=flink.code, **{"wait_s": 20.0} | how))

    return deployed

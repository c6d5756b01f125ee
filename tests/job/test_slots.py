"""A job that keeps scoring apart, against a server that answers as a cluster does which can't."""

import pytest

from job.cluster import FlinkRest
from job.deployment.slots import PlacementError, requested_slots
from job.settings.job_settings import load
from job.settings.planned_job import Slot, Slots
from tests.job.test_rest import Server, rest, server

__all__ = ["rest", "server"]

APART = ("scoring.bundle=bundle", "scoring.device=cuda", "placement.scoring=gpu")
SLOT = '{"cpu_cores": 1, "task_heap_mb": 400}'


def tell(server: Server, **settings: str) -> None:
    told = [{"key": key, "value": value} for key, value in settings.items()]
    server.answer("GET", "/jobmanager/config", told)
    server.answer("GET", "/taskmanagers", {"taskmanagers": []})


@pytest.mark.parametrize("setting", [{"jobmanager.scheduler": "Adaptive"}, {"scheduler-mode": "REACTIVE"}])
def test_the_adaptive_scheduler_is_refused_with_the_reason(
    setting: dict[str, str], server: Server, rest: FlinkRest
) -> None:
    tell(server, **setting)
    with pytest.raises(PlacementError, match=f"{next(iter(setting))}=.*ignores what slot-sharing groups ask for"):
        requested_slots(load(overrides=APART), rest)


def test_a_job_that_shares_slots_runs_with_any_scheduler(server: Server, rest: FlinkRest) -> None:
    shared = load(overrides=["scoring.bundle=bundle"])
    tell(server, **{"jobmanager.scheduler": "Adaptive"})
    assert requested_slots(shared, rest) is None


def test_slots_that_were_given_need_no_task_manager_to_be_there_yet(server: Server, rest: FlinkRest) -> None:
    tell(server, **{"jobmanager.scheduler": "Default"})
    given = load(overrides=[*APART, f"placement.gpu_slot={SLOT}", f"placement.state_slot={SLOT}"])
    slot = Slot(cpu_cores=1, task_heap_mb=400)
    assert requested_slots(given, rest) == Slots(gpu=slot, state=slot)

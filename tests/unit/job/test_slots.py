"""What is asked of TaskManagers that are kept apart: what the smallest of their sort has."""

from typing import Any

import pytest

from job.cluster.records import RegisteredTaskManager, Resources
from job.deployment.slots import PlacementError, smallest_slot
from job.settings.job_settings import SettingsError, load
from job.settings.placement import GPU, STATE
from job.settings.planned_job import Slot


def task_manager(resource: str, heap_mb: int, *, slots: int = 1, count: float = 1.0) -> RegisteredTaskManager:
    resources = Resources(2.0, heap_mb, 0, 600, {resource: count} if resource else {})
    return RegisteredTaskManager("tm", slots, slots, 0, resources)


def test_the_smallest_slot_of_the_sort_is_asked_for() -> None:
    there = [task_manager(GPU, 400), task_manager(GPU, 300), task_manager(STATE, 100)]
    assert smallest_slot(there, GPU, 2) == Slot(cpu_cores=2, task_heap_mb=300, managed_mb=600)


def test_a_task_manager_is_divided_among_its_slots() -> None:
    there = [task_manager(STATE, 700, slots=3, count=3.0)]
    assert smallest_slot(there, STATE, 3) == Slot(cpu_cores=2 / 3, task_heap_mb=233, managed_mb=200)


@pytest.mark.parametrize("resource", [STATE, ""])
def test_too_few_of_a_sort_are_refused_with_how_to_start_them(resource: str) -> None:
    there = [task_manager(GPU, 400), task_manager(resource, 400)]
    with pytest.raises(PlacementError, match=r"needs 2 .* gpu, 1 are there: .*start -n 2 --gpu DEVICE --gpu DEVICE"):
        smallest_slot(there, GPU, 2)


def test_a_plan_without_slots_does_not_share_those_of_a_job_that_is_kept_apart() -> None:
    from job.topology.placement import reserve_slots

    environment: Any = None  # none is needed before slots are declared
    reserve_slots(environment, load(overrides=["lists.policy=history"]), None)
    apart = load(overrides=["placement.scoring=gpu", "scoring.device=cuda", "scoring.bundle=/bundle"])
    with pytest.raises(SettingsError, match=r"placement\.scoring=gpu .* recloop deploy"):
        reserve_slots(environment, apart, None)

"""The slots that scoring and all other operators request when they are kept apart, as read from the cluster.

A slot that requests anything is cut out of its TaskManager's resources, so heap and managed memory have to be requested
as well. Each of the two groups requests all that the smallest slot of its TaskManagers has.
"""

from job.cluster import FlinkRest
from job.cluster.gpus import ADAPTIVE_IGNORES_GPUS, adaptive
from job.cluster.records import RegisteredTaskManager
from job.settings.job_settings import JobSettings
from job.settings.placement import GPU, STATE
from job.settings.planned_job import Slot, Slots
from model.errors import RecloopError

_ASKS = {GPU: "scoring.parallelism", STATE: "flink.parallelism"}
"""Resource -> the setting for the number needed; scoring's defaults to Flink's."""


class PlacementError(RecloopError):
    """The cluster can't keep scoring apart; the message says why, and what to do."""


def requested_slots(settings: JobSettings, rest: FlinkRest) -> Slots | None:
    """Return the slots that scoring and the rest request; None if they are not to be kept apart.

    Given slots are taken as they are: a cluster that starts TaskManagers on demand has none to measure.

    Raises:
        PlacementError: the scheduler ignores the resources of slots, or one group has too few TaskManagers.
    """
    placement = settings.placement
    if placement.scoring == "shared":
        return None
    if scheduler := adaptive(rest.configuration()):
        msg = f"placement.scoring=gpu on a cluster with {scheduler}: {ADAPTIVE_IGNORES_GPUS}"
        raise PlacementError(msg)
    task_managers = rest.task_managers()
    gpu, state = placement.gpu_slot, placement.state_slot
    return Slots(
        gpu=Slot(**gpu.model_dump()) if gpu else smallest_slot(task_managers, GPU, settings.scorers),
        state=Slot(**state.model_dump()) if state else smallest_slot(task_managers, STATE, settings.flink.parallelism),
    )


def smallest_slot(task_managers: list[RegisteredTaskManager], resource: str, needed: int) -> Slot:
    """Return the slot that fits every TaskManager with the external resource.

    Raises:
        PlacementError: fewer than `needed` slots with the resource are there.
    """
    offering = [each for each in task_managers if each.resources.external.get(resource, 0) >= 1]
    there = sum(int(each.resources.external[resource]) for each in offering)
    if there < needed:
        msg = (
            f"{_ASKS[resource]}={needed} with placement.scoring=gpu needs {needed} TaskManager(s) that offer the "
            f"external resource {resource}, {there} are there: recloop cluster start -n {needed}"
            f"{' --gpu DEVICE' * needed}, or external-resources: {resource} in their Flink configuration"
        )
        raise PlacementError(msg)
    return Slot(
        cpu_cores=min(each.resources.cpu_cores / each.slots for each in offering),
        task_heap_mb=min(each.resources.task_heap_mb // each.slots for each in offering),
        task_off_heap_mb=min(each.resources.task_off_heap_mb // each.slots for each in offering),
        managed_mb=min(each.resources.managed_mb // each.slots for each in offering),
    )

"""The slots that scoring and all other operators request when they are kept apart, as read from the cluster.

A slot that requests anything is cut out of its TaskManager's resources, so heap and managed memory have to be requested
as well. Each of the two groups requests all that the smallest slot of its TaskManagers has.
"""

from job.cluster import FlinkRest
from job.cluster.gpus import ADAPTIVE_IGNORES_GPUS, adaptive
from job.cluster.records import RegisteredTaskManager
from job.settings.job_settings import JobSettings
from job.settings.placement import GPU, STATE, SlotSettings
from model.errors import RecloopError

_ASKS = {GPU: "scoring.parallelism", STATE: "flink.parallelism"}
"""Resource -> the setting for the number needed; scoring's defaults to Flink's."""


class PlacementError(RecloopError):
    """The cluster can't keep scoring apart; the message says why, and what to do."""


def placed(settings: JobSettings, rest: FlinkRest) -> JobSettings:
    """Return the settings with the slots that scoring and the rest request, if they are to be kept apart.

    Given slots are taken as they are: a cluster that starts TaskManagers on demand has none to measure.

    Raises:
        PlacementError: the scheduler ignores the resources of slots, or one group has too few TaskManagers.
    """
    placement = settings.placement
    if placement.scoring == "shared":
        return settings
    if asked := adaptive(rest.configuration()):
        msg = f"placement.scoring=gpu on a cluster with {asked}: {ADAPTIVE_IGNORES_GPUS}"
        raise PlacementError(msg)
    task_managers = rest.task_managers()
    slots = {
        "gpu_slot": placement.gpu_slot or smallest_slot(task_managers, GPU, settings.scorers),
        "state_slot": placement.state_slot or smallest_slot(task_managers, STATE, settings.flink.parallelism),
    }
    return settings.model_copy(update={"placement": placement.model_copy(update=slots)})


def smallest_slot(task_managers: list[RegisteredTaskManager], resource: str, needed: int) -> SlotSettings:
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
    slots = [_slot(each) for each in offering]
    return SlotSettings(
        cpu_cores=min(slot.cpu_cores for slot in slots),
        task_heap_mb=min(slot.task_heap_mb for slot in slots),
        task_off_heap_mb=min(slot.task_off_heap_mb for slot in slots),
        managed_mb=min(slot.managed_mb for slot in slots),
    )


def _slot(task_manager: RegisteredTaskManager) -> SlotSettings:
    has, slots = task_manager.resources, task_manager.slots
    return SlotSettings(
        cpu_cores=has.cpu_cores / slots,
        task_heap_mb=has.task_heap_mb // slots,
        task_off_heap_mb=has.task_off_heap_mb // slots,
        managed_mb=has.managed_mb // slots,
    )

"""What scoring and everything else ask of a cluster's TaskManagers when they are kept apart, read from the cluster.

A slot that asks for anything is cut out of its TaskManager's resources, so heap and managed memory have to be asked
for as well. Each of the two sorts asks for all that a slot of its TaskManagers has: of the smallest one.
"""

from job.cluster import FlinkRest
from job.cluster.gpus import ADAPTIVE_IGNORES_GPUS, adaptive
from job.cluster.records import RegisteredTaskManager
from job.settings.job_settings import JobSettings
from job.settings.placement import GPU, STATE, SlotSettings
from model.errors import RecloopError

_ASKS = {GPU: "scoring.parallelism", STATE: "flink.parallelism"}
"""Resource -> the setting that says how many of it are needed; that of scoring is as Flink's where it is not given."""


class PlacementError(RecloopError):
    """The cluster can't keep scoring apart; the message says why, and what to do."""


def placed(settings: JobSettings, rest: FlinkRest) -> JobSettings:
    """The settings with the slots that scoring and the rest ask for, where they are to be kept apart.

    Slots that were given are taken as they are: a cluster that starts TaskManagers when they are asked for has none
    to look at.

    Raises:
        PlacementError: the scheduler ignores what slots ask for, or there are too few TaskManagers of one sort.
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
    """The slot that fits every TaskManager which has the external resource.

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

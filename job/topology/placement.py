"""The placement of scoring on TaskManagers with a GPU, and of everything else off them.

By default all operators of a job share slots, and Flink puts them wherever one is free. Here scoring is in a
slot-sharing group that requests the external resource `gpu`, and the rest in one that requests `state`.
"""

from pyflink.datastream import DataStream, SlotSharingGroup, StreamExecutionEnvironment

from job.settings.job_settings import JobSettings, SettingsError
from job.settings.placement import GPU, STATE, SlotSettings

SCORING_GROUP = "scoring"
_DEFAULT_GROUP = "default"
"""Flink's name of the group of every operator without a group of its own, and of a union of several streams."""


def reserve_slots(env: StreamExecutionEnvironment, settings: JobSettings) -> None:
    """Declare the resources of the two groups, if scoring is kept apart.

    Raises:
        SettingsError: the slots were not filled in.
    """
    placement = settings.placement
    if placement.scoring == "shared":
        return
    if placement.gpu_slot is None or placement.state_slot is None:
        msg = "placement.scoring=gpu needs placement.gpu_slot and placement.state_slot: recloop deploy fills them in"
        raise SettingsError(msg)
    env.register_slot_sharing_group(_group(SCORING_GROUP, placement.gpu_slot, GPU))
    env.register_slot_sharing_group(_group(_DEFAULT_GROUP, placement.state_slot, STATE))


def kept_apart(scored: DataStream, settings: JobSettings) -> DataStream:
    """Return the scoring operator, put into its own group if scoring is kept apart."""
    return scored if settings.placement.scoring == "shared" else scored.slot_sharing_group(SCORING_GROUP)


def _group(name: str, slot: SlotSettings, resource: str) -> SlotSharingGroup:
    return (
        SlotSharingGroup.builder(name)
        .set_cpu_cores(slot.cpu_cores)
        .set_task_heap_memory_mb(slot.task_heap_mb)
        .set_task_off_heap_memory_mb(slot.task_off_heap_mb)
        .set_managed_memory_mb(slot.managed_mb)
        .set_external_resource(resource, 1.0)
        .build()
    )

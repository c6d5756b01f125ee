"""The placement of scoring on TaskManagers with a GPU, and of everything else off them.

By default all operators of a job share slots, and Flink puts them wherever one is free. Here scoring is in a
slot-sharing group that requests the external resource `gpu`, and the rest in one that requests `state`.
"""

from pyflink.datastream import DataStream, SlotSharingGroup, StreamExecutionEnvironment

from job.settings.job_settings import JobSettings, SettingsError
from job.settings.placement import GPU, STATE
from job.settings.planned_job import Slot, Slots

_SCORING_GROUP = "scoring"
_DEFAULT_GROUP = "default"
"""Flink's name of the group of every operator without a group of its own, and of a union of several streams."""


def reserve_slots(env: StreamExecutionEnvironment, settings: JobSettings, slots: Slots | None) -> None:
    """Declare the resources of the two groups, if scoring is kept apart.

    Raises:
        SettingsError: the settings keep scoring apart, and the plan has no slots for that.
    """
    if slots is None and settings.placement.scoring != "shared":
        msg = f"placement.scoring={settings.placement.scoring} needs slots in the plan: recloop deploy finds them out"
        raise SettingsError(msg)
    if slots is not None:
        env.register_slot_sharing_group(_group(_SCORING_GROUP, slots.gpu, GPU))
        env.register_slot_sharing_group(_group(_DEFAULT_GROUP, slots.state, STATE))


def kept_apart(scored: DataStream, slots: Slots | None) -> DataStream:
    """Return the scoring operator, put into its own group if scoring is kept apart."""
    return scored if slots is None else scored.slot_sharing_group(_SCORING_GROUP)


def _group(name: str, slot: Slot, resource: str) -> SlotSharingGroup:
    return (
        SlotSharingGroup.builder(name)
        .set_cpu_cores(slot.cpu_cores)
        .set_task_heap_memory_mb(slot.task_heap_mb)
        .set_task_off_heap_memory_mb(slot.task_off_heap_mb)
        .set_managed_memory_mb(slot.managed_mb)
        .set_external_resource(resource, 1.0)
        .build()
    )

"""The settings that place operators on TaskManagers."""

from typing import Annotated, Literal

from pydantic import Field

from job.settings.values import Between, Mebibytes, MebibytesOrNone, SettingsGroup


class SlotSettings(SettingsGroup):
    """The resources of one slot, which Flink cuts out of its TaskManager's resources."""

    cpu_cores: Annotated[float, Between(0.001, 100_000.0)]
    task_heap_mb: Mebibytes
    task_off_heap_mb: MebibytesOrNone = 0
    managed_mb: MebibytesOrNone = 0


GPU = "gpu"
STATE = "state"
"""The external resources that TaskManagers offer and slot-sharing groups request."""


class PlacementSettings(SettingsGroup):
    """The sharing of TaskManagers by operators."""

    scoring: Literal["shared", "gpu"] = Field(
        "shared", description="gpu: on TaskManagers of its own, those that offer Flink the external resource gpu"
    )
    gpu_slot: SlotSettings | None = Field(
        None, description="the slot that scoring requests where gpu is offered; none: as large as the smallest found"
    )
    state_slot: SlotSettings | None = Field(
        None,
        description="the slot that all else requests where state is offered; none: as large as the smallest found",
    )

"""Rules for asking the model and for its device; kept apart from the modules that need torch."""

from dataclasses import dataclass
from typing import Literal

from model.actions import ActionTable


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringRules:
    """Rules for asking the model.

    Attributes:
        actions: the action table, whose weights go in with the history.
        exclude_seen: whether an item of the history may not be recommended again.
        neighbors_of_disliked: number of nearest neighbours of a disliked item that are kept out.
        withdrawn: items that nobody may be shown.
        candidates: most of the model's items that are used.
        fixed_batch: pads every call to this many histories, so that results do not depend on how many there
            were; None does not.
        kept_users: number of users whose model state is kept, where the bundle steps and batches are not fixed.
        kept_mb: most memory of these states and all that is kept beside them, in MiB, of one variant.
    """

    actions: ActionTable
    exclude_seen: bool
    neighbors_of_disliked: int
    withdrawn: frozenset[str]
    candidates: int
    fixed_batch: int | None
    kept_users: int
    kept_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheRules:
    """Limits of the store of the model's answers.

    Attributes:
        megabytes: largest size of the store, in MiB; 0 is no store.
        max_age_s: longest time for which an answer is given again.
    """

    megabytes: int
    max_age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRules:
    """The device that the model runs on, and its precision.

    Attributes:
        name: "cpu", or a CUDA device.
        missing: whether a missing device is an error, or scoring goes to the CPU.
        precision: the precision of matrix products; scores are float32 in any case.
    """

    name: str
    missing: Literal["refuse", "cpu"]
    precision: Literal["float32", "float16", "bfloat16"]

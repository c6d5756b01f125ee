"""What the model is asked, besides the history, and where it runs; apart from those that need torch."""

from dataclasses import dataclass
from typing import Literal

from model.actions import ActionTable


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringRules:
    """What the model is asked.

    Attributes:
        actions: the action table, whose weights go in with the history.
        exclude_seen: whether an item of the history may not be recommended again.
        neighbors_of_disliked: how many nearest neighbours of a disliked item are kept out.
        withdrawn: items that nobody may be shown.
        candidates: how many of the model's items go on at most.
        fixed_batch: pads every call to this many histories, so that results do not depend on how many there
            were; None does not.
        kept_users: of how many users the model's state is kept, where the bundle steps and batches are not fixed.
        kept_mb: what these states and all that is kept beside them take at most, in MiB, of one variant.
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
    """What is stored of the model's answers.

    Attributes:
        megabytes: the store's size at most, in MiB; 0 is no store.
        max_age_s: how long an answer is given again.
    """

    megabytes: int
    max_age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRules:
    """Where the model runs, and how exactly.

    Attributes:
        name: "cpu", or a CUDA device.
        missing: whether a device that is not there is an error, or scoring goes to the CPU.
        precision: what matrix products are computed in; scores are float32 in any case.
    """

    name: str
    missing: Literal["refuse", "cpu"]
    precision: Literal["float32", "float16", "bfloat16"]

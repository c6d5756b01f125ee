"""What the model is asked, besides the history, and where it runs; apart from those that need torch."""

from dataclasses import dataclass
from typing import Literal

from model.actions import ActionTable


@dataclass(frozen=True, slots=True)
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
    exclude_seen: bool = True
    neighbors_of_disliked: int = 5
    withdrawn: frozenset[str] = frozenset()
    candidates: int = 30
    fixed_batch: int | None = None
    kept_users: int = 10_000
    kept_mb: float = 256


@dataclass(frozen=True, slots=True)
class CacheRules:
    """What is stored of the model's answers.

    Attributes:
        megabytes: the store's size at most, in MiB; 0 is no store.
        max_age_s: how long an answer is given again.
    """

    megabytes: int = 0
    max_age_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class DeviceRules:
    """Where the model runs, and how exactly.

    Attributes:
        name: "cpu", or a CUDA device.
        missing: whether a device that is not there is an error, or scoring goes to the CPU.
        precision: what matrix products are computed in; scores are float32 in any case.
    """

    name: str = "cpu"
    missing: Literal["refuse", "cpu"] = "refuse"
    precision: Literal["float32", "float16", "bfloat16"] = "float32"

"""What the model is asked, besides the history; apart from `udfs.scoring`, which needs torch."""

from dataclasses import dataclass

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
    """

    actions: ActionTable
    exclude_seen: bool = True
    neighbors_of_disliked: int = 5
    withdrawn: frozenset[str] = frozenset()
    candidates: int = 30
    fixed_batch: int | None = None

"""The rules for making lists, and the items that fill them up."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from model.actions import ActionTable


class Policy(StrEnum):
    """The method by which a behaviour changes the list."""

    RECOMMEND = "recommend"
    """Model scores, filtered, blended, filled."""
    HISTORY = "history"
    """A positive act appends its item; a terminal one appends it and sorts by action weight again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListRules:
    """Rules for making lists.

    Attributes:
        actions: the action table.
        policy: one of the two policies.
        length: most items of a list.
        max_per_group: most items of one group; None sets no bound.
        max_new_items: most items that one behaviour may bring into a list; None sets no bound. A shorter list is
            always filled, and what is explored comes on top.
        trend_weight: share of its trend in an item's score, 0 to 1.
        impression_discount: factor on an item's score for each time it was shown without an act.
        exclude_seen: whether an item of the history may not be recommended again.
        withdrawn: items that nobody may be shown.
        hysteresis: lead in score, 0 to 1, that a newcomer needs over an item of the list before.
        diversity: weight, 0 to 1, of being unlike the items above, against the score.
        update_interval_ms: event time from one list of the model's to the next; between them a list only loses what
            may not be shown, and is filled up. None sets no bound.
        explore_share: share of the places, 0 to 1, that are given to an item drawn by chance.
        explore_pool: number of items that these are drawn from, the next best ones after the list's own.
    """

    actions: ActionTable
    policy: Policy
    length: int
    max_per_group: int | None
    max_new_items: int | None
    trend_weight: float
    impression_discount: float
    exclude_seen: bool
    withdrawn: frozenset[str]
    hysteresis: float
    diversity: float
    update_interval_ms: int | None
    explore_share: float
    explore_pool: int


Near = Callable[[str], Mapping[str, float]]
"""A function from an item to its near neighbours, each with its likeness, above 0 and up to 1."""


def nothing_near(_item_id: str) -> Mapping[str, float]:
    """Return no neighbours."""
    return {}


@dataclass(frozen=True, slots=True)
class Fallbacks:
    """The items that fill a list which the model leaves short, and what is known of items.

    Attributes:
        popular: item ids, most popular first.
        trending: item id -> strength, 0 to 1, strongest first; also blended into the model's scores.
        snapshot_id: number of these trends; None where there are none.
        groups: item id -> group; needed only where `max_per_group` is set.
        near: the neighbours of an item; needed only where `diversity` is set.
    """

    popular: Sequence[str] = ()
    trending: Mapping[str, float] = field(default_factory=dict)
    snapshot_id: int | None = None
    groups: Mapping[str, str] = field(default_factory=dict)
    near: Near = nothing_near

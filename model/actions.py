"""The action table: the meaning of each action for a user's profile.

State stores an action's code, one byte, so a code is never given to another action.
"""

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType


class Kind(StrEnum):
    """The effect of an action on a user's profile."""

    POSITIVE = "positive"
    """The item is appended to the history that the model reads."""
    NEGATIVE = "negative"
    """The item and its nearest neighbours leave the list."""
    EXPOSURE = "exposure"
    """The item was shown; being shown often without an act counts against it."""
    TERMINAL = "terminal"
    """The item is owned: appended to the history and never recommended until it is returned."""
    REVERSAL = "reversal"
    """A terminal action is taken back, as when an item is returned."""


@dataclass(frozen=True, slots=True)
class Action:
    """One row of the table.

    Attributes:
        code: 1 to 255, as state stores it; 32 and above are free for a deployment's own actions.
        kind: its effect on the profile.
        weight: strength of the interest, 0 and above; 1.0 is a click.
        half_life_s: after so many seconds of event time an exposure counts half. Models get weight and age apart,
            and fade acts as they learned to.
    """

    code: int
    kind: Kind
    weight: float
    half_life_s: float

    def __post_init__(self) -> None:
        if not 1 <= self.code <= 255:
            msg = f"an action's code is 1 to 255, not {self.code}"
            raise ValueError(msg)
        if self.weight < 0 or self.half_life_s <= 0:
            msg = f"weight must be >= 0 and half_life_s > 0, not {self.weight} and {self.half_life_s}"
            raise ValueError(msg)


ActionTable = MappingProxyType[str, Action]

_DAY_S = 86_400.0

DEFAULT_ACTIONS: ActionTable = MappingProxyType(
    {
        "view": Action(1, Kind.POSITIVE, 0.5, 3 * _DAY_S),
        "click": Action(2, Kind.POSITIVE, 1.0, 7 * _DAY_S),
        "favorite": Action(3, Kind.POSITIVE, 2.0, 30 * _DAY_S),
        "cart": Action(4, Kind.POSITIVE, 3.0, 7 * _DAY_S),
        "buy": Action(5, Kind.TERMINAL, 5.0, 60 * _DAY_S),
        "return": Action(6, Kind.REVERSAL, 0.0, 60 * _DAY_S),
        "dislike": Action(7, Kind.NEGATIVE, 0.0, 90 * _DAY_S),
        "impression": Action(8, Kind.EXPOSURE, 0.0, 1 * _DAY_S),
    }
)


def history_actions(table: ActionTable) -> frozenset[str]:
    """Return the names of the actions whose items enter the history that a model reads."""
    return frozenset(name for name, action in table.items() if action.kind in {Kind.POSITIVE, Kind.TERMINAL})

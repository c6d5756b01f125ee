"""How a data set's own words (5 stars, pv, cancellation) become names of the action table."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from model.actions import DEFAULT_ACTIONS
from model.datasets.errors import ActionMapError

SKIP = "skip"
EVERY = "all"
_NO_RULES: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class ActionMap:
    """Maps a raw word to an action.

    Attributes:
        rules: raw word -> action; `skip` leaves such rows out, counted.
        every: the action of every row that no rule names, or None.
    """

    rules: Mapping[str, str]
    every: str | None = None

    def __call__(self, raw: str) -> str | None:
        """The action for a raw word, or None if such rows are left out."""
        action = self.rules.get(raw, self.every)
        return None if action == SKIP else action

    def as_text(self) -> str:
        """The mapping in the form that `parse_action_map` reads."""
        rules = [f"{raw}={action}" for raw, action in self.rules.items()]
        return ",".join([*rules, *([f"{EVERY}={self.every}"] if self.every else [])])


def rating_map(*, half_stars: bool) -> ActionMap:
    """Stars to actions: 4 and above a favorite, 3 and above a click, less a dislike."""
    stars = [n / 2 for n in range(10, 0, -1 if half_stars else -2)]
    return ActionMap({f"{s:g}": "favorite" if s >= 4 else "click" if s >= 3 else "dislike" for s in stars})


def identity_map(names: Collection[str] = tuple(DEFAULT_ACTIONS)) -> ActionMap:
    """For sources whose words already are names of the action table."""
    return ActionMap({name: name for name in names})


def parse_action_map(text: str, default: ActionMap, known: Collection[str] = tuple(DEFAULT_ACTIONS)) -> ActionMap:
    """Reads `5=favorite,3=click` or `all=click`.

    Args:
        text: rules separated by commas; they are laid over `default`, except that `all` replaces it.
        default: the source's own mapping.
        known: names of the action table.

    Raises:
        ActionMapError: a rule is not RAW=ACTION or names an unknown action.
    """
    given = dict(_parse_rule(rule, known) for rule in text.split(",") if rule.strip())
    every = given.pop(EVERY, None)
    base = _NO_RULES if every else default.rules
    return ActionMap(MappingProxyType({**base, **given}), every or default.every)


def _parse_rule(rule: str, known: Collection[str]) -> tuple[str, str]:
    raw, sign, action = (part.strip() for part in rule.partition("="))
    if not sign or not raw:
        msg = f"--actions: {rule!r} is not RAW=ACTION; write for example 5=favorite,3=click or all=click"
        raise ActionMapError(msg)
    if action not in known and action != SKIP:
        msg = f"--actions: {action!r} is no known action; use one of {', '.join(known)}, or {SKIP}"
        raise ActionMapError(msg)
    return raw, action

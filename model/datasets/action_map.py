"""Mapping from a data set's own words (5 stars, pv, cancellation) to names of the action table."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType

from model.actions import DEFAULT_ACTIONS
from model.datasets.errors import ActionMapError

SKIP = "skip"
EVERY = "all"
_NO_RULES: Mapping[str, str] = MappingProxyType({})


_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,30}\.?[0-9]{0,30}|\.[0-9]{1,30})")


@lru_cache(maxsize=4096)
def word_of(raw: str) -> str:
    """Return a raw action as rules name it: without spaces around it, and a number by its value (5.0 is 5)."""
    word = raw.strip()
    if not is_number(word):
        return word
    plain = f"{Decimal(word):f}"
    plain = plain.rstrip("0").rstrip(".") if "." in plain else plain
    return "0" if plain == "-0" else plain


def is_number(word: str) -> bool:
    """Return True if a raw action is a number, as ratings are."""
    return _NUMBER.fullmatch(word.strip()) is not None


@dataclass(frozen=True, slots=True)
class ActionMap:
    """A mapping from raw words to actions.

    Attributes:
        rules: raw word, as `word_of` gives it -> action; `skip` leaves such rows out, counted.
        every: the action of every row that no rule names, or None.
        given: the words of the user's own rules.
    """

    rules: Mapping[str, str]
    every: str | None = None
    given: frozenset[str] = frozenset()

    def __call__(self, raw: str) -> str | None:
        """Return the action for a raw word, or None if such rows are left out."""
        action = self.rules.get(word_of(raw), self.every)
        return None if action == SKIP else action

    def is_skipped(self, raw: str) -> bool:
        """Return True if a rule leaves out rows with this raw word."""
        return self.rules.get(word_of(raw), self.every) == SKIP

    def as_text(self) -> str:
        """Return the mapping in the form that `parse_action_map` reads."""
        rules = [f"{raw}={action}" for raw, action in self.rules.items()]
        return ",".join([*rules, *([f"{EVERY}={self.every}"] if self.every else [])])


def rating_map(*, half_stars: bool) -> ActionMap:
    """Map stars to actions: 4 and above of 5 a favorite, 3 and above a click, less a dislike."""
    stars = [n / 2 for n in range(10, 0, -1 if half_stars else -2)]
    return ActionMap({f"{star:g}": _liking(star, 5) for star in stars})


def rating_rules(words: Iterable[str]) -> str | None:
    """Return rules that give ratings of any scale the meaning of stars; None unless all are ratings, one above 0."""
    ratings = sorted(((float(word) if is_number(word) else -1.0, word) for word in words), reverse=True)
    if not ratings or ratings[-1][0] < 0 or ratings[0][0] == 0:
        return None
    highest = ratings[0][0]
    top = next((scale for scale in (5, 10, 100) if highest <= scale), highest)
    return ",".join(f"{word}={_liking(rating, top)}" for rating, word in ratings)


def can_be_named(word: str) -> bool:
    """Return True if a rule that a user types can name this word alone."""
    return word not in {"", EVERY} and "," not in word and word.isprintable()


def _liking(rating: float, top: float) -> str:
    return "favorite" if rating >= 0.8 * top else "click" if rating >= 0.6 * top else "dislike"


def identity_map(names: Collection[str] = tuple(DEFAULT_ACTIONS)) -> ActionMap:
    """Return the mapping for sources whose words already are names of the action table."""
    return ActionMap({name: name for name in names})


def parse_action_map(text: str, default: ActionMap, known: Collection[str] = tuple(DEFAULT_ACTIONS)) -> ActionMap:
    """Read `5=favorite,3=click` or `all=click`.

    Args:
        text: rules separated by commas; they come before those of `default`, and replace all of these if one is `all`.
        default: the source's own mapping.
        known: names of the action table.

    Raises:
        ActionMapError: a rule is not RAW=ACTION or names an unknown action.
    """
    given: dict[str, str] = {}
    for rule in filter(str.strip, text.split(",")):
        raw, sign, action = (part.strip() for part in rule.rpartition("="))
        if not sign or not raw:
            msg = f"--actions: {rule!r} is not RAW=ACTION; write for example 5=favorite,3=click or all=click"
            raise ActionMapError(msg)
        if action not in known and action != SKIP:
            msg = f"--actions: {action!r} is no known action; use one of {', '.join(known)}, or {SKIP}"
            raise ActionMapError(msg)
        raw = word_of(raw)
        if given.setdefault(raw, action) != action:
            msg = f"--actions: {raw!r} becomes {given[raw]} by one rule and {action} by another; leave one of them out"
            raise ActionMapError(msg)
    every = given.pop(EVERY, None)
    base = _NO_RULES if every else default.rules
    return ActionMap(MappingProxyType({**base, **given}), every or default.every, frozenset(given))

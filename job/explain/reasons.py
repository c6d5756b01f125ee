"""The reasons of a list, item by item: which behaviours, model, rule or trend put each there, or took it out."""

from collections.abc import Sequence
from dataclasses import dataclass

from job.explain.recompute import Recomputed
from udfs.elements import LoggedBehavior
from udfs.hashing import id_hash, unpack
from udfs.lists.entries import ReasonCode
from udfs.lists.list_rules import Policy


@dataclass(frozen=True, slots=True)
class ModelPart:
    """The part of the model's score in an item's place.

    Attributes:
        rank: its place among the model's proposals, from 1.
        proposed: the number of proposals.
        score: on the model's own scale.
        scaled: the score from 0, the worst proposal's, to 1, the best one's.
        trend: the strength of its trend, 0 to 1, which is mixed in.
        impressions: the number of times it was shown without an act, faded, for each of which it is discounted.
    """

    rank: int
    proposed: int
    score: float
    scaled: float
    trend: float
    impressions: float


@dataclass(frozen=True, slots=True)
class ItemReason:
    """The reason for one item of a list.

    Attributes:
        position: its place, from 0.
        score: its score in the list.
        rule: the rule that put it there, in words.
        model: the model's part; None where its score is not of this behaviour's model call.
        behaviors: the user's behaviours that it is there because of, newest first.
        was: its place in the list before, from 0; None if it is new.
    """

    item_id: str
    position: int
    score: float
    rule: str
    model: ModelPart | None
    behaviors: tuple[LoggedBehavior, ...]
    was: int | None


@dataclass(frozen=True, slots=True)
class GoneItem:
    """An item of the list before that is in this one no more, and the rule that took it out."""

    item_id: str
    rule: str


def item_reasons(made: Recomputed) -> list[ItemReason]:
    """Return the reason for each item of the list, best first."""
    was = {item: place for place, item in enumerate(made.previous.items)}
    parts = _model_parts(made)
    found = []
    for place, (item, score) in enumerate(zip(made.user_list.items, made.user_list.scores, strict=True)):
        reason = made.user_list.reasons[place]
        behaviors: tuple[LoggedBehavior, ...] = ()
        if isinstance(reason, str):
            behaviors = _behaviors_with(made.history, reason)
        elif reason == ReasonCode.HISTORY:
            behaviors = _behaviors_with(made.history, item)
        found.append(
            ItemReason(
                item_id=item,
                position=place,
                score=round(score, 6),
                rule=_rule(made, item, place, is_scored=item in parts),
                model=parts.get(item),
                behaviors=behaviors,
                was=was.get(item),
            )
        )
    return found


def gone_items(made: Recomputed) -> list[GoneItem]:
    """Return the items of the list before that are no longer there, and why, in their order."""
    stays, excluded = set(made.user_list.items), set(unpack(made.excluded))
    seen = set(made.profile.items) if made.rules.lists.exclude_seen else set()
    return [GoneItem(item, _why_gone(made, item, excluded, seen)) for item in made.previous.items if item not in stays]


def _why_gone(made: Recomputed, item: str, excluded: set[int], seen: set[int]) -> str:
    hashed = id_hash(item)
    for rule, holds in (
        ("withdrawn", item in made.rules.lists.withdrawn),
        ("bought", hashed in made.profile.bought),
        ("disliked", hashed in made.profile.disliked),
        ("seen", hashed in seen or hashed in made.profile.seen),
        ("a near neighbour of a disliked item", hashed in excluded),
    ):
        if holds:
            return rule
    return "others rank higher"


def _model_parts(made: Recomputed) -> dict[str, ModelPart]:
    if made.candidates is None:
        return {}
    scores = made.candidates.scores()
    low, shown = min(scores, default=0.0), dict(made.shown)
    spread = max(scores, default=0.0) - low or 1.0
    return {
        item: ModelPart(
            rank=rank,
            proposed=len(scores),
            score=round(score, 6),
            scaled=round((score - low) / spread, 6),
            trend=round(made.fallbacks.trending.get(item, 0.0), 6),
            impressions=round(shown.get(id_hash(item), 0.0), 3),
        )
        for rank, (item, score) in enumerate(zip(made.candidates.items, scores, strict=True), 1)
    }


def _rule(made: Recomputed, item: str, place: int, *, is_scored: bool) -> str:
    """Return the rule that put an item into its place."""
    reason = made.user_list.reasons[place]
    if made.rules.lists.policy is Policy.HISTORY:
        return "the user acted on it"
    if reason == ReasonCode.EXPLORE:
        return f"drawn by chance, with probability {made.user_list.propensities[place]:.4g}, to explore"
    if reason == ReasonCode.TRENDING and not is_scored:
        return f"fills up the list: trending, strength {made.fallbacks.trending.get(item, 0.0):.3f}"
    if reason == ReasonCode.POPULAR and not is_scored and item in made.fallbacks.popular:
        return f"fills up the list: number {list(made.fallbacks.popular).index(item) + 1} of the popular items"
    if not is_scored:
        return f"stays from the list before, as it was scored then{_near(reason)}"
    return f"scored by the model{_near(reason)}"


def _near(reason: int | str) -> str:
    return f"; a near neighbour of {reason}, which the user acted on" if isinstance(reason, str) else ""


def _behaviors_with(history: Sequence[LoggedBehavior], item: str) -> tuple[LoggedBehavior, ...]:
    return tuple(each for each in reversed(history) if each.item_id == item)

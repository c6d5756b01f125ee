"""What the peers keep of a user: the items of his history, as long as the job keeps them."""

from model.actions import DEFAULT_ACTIONS, history_actions

BLOCK = 50
"""A history grows to twice this; then the oldest block goes, as the job's does."""
_POSITIVE = history_actions(DEFAULT_ACTIONS)


def apply(history: list[str], action: str, item_id: str) -> None:
    """Puts one behaviour's item at the newest end, if it is one that a model looks at."""
    if action in _POSITIVE:
        history.append(item_id)
        if len(history) >= 2 * BLOCK:
            del history[:BLOCK]

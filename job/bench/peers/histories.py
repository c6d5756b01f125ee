"""The history that the peers keep of a user: items only, for as long as the job keeps them."""

from model.actions import DEFAULT_ACTIONS, history_actions

BLOCK = 50
"""A history grows to twice this length; then its oldest block is dropped, as in the job."""
_POSITIVE = history_actions(DEFAULT_ACTIONS)


def apply(history: list[str], action: str, item_id: str) -> None:
    """Append the behaviour's item to the history if a model reads its action."""
    if action in _POSITIVE:
        history.append(item_id)
        if len(history) >= 2 * BLOCK:
            del history[:BLOCK]

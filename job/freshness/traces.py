"""The traces of users in the tables of a run: what they did, and the lists that the job made of it."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.actions import ActionTable, Kind, history_actions
from model.evaluation.freshness import Act, Trace
from model.records import EpochMs, ItemId, UserId

_ACTS = """
SELECT user_id, item_id, "action", "timestamp" FROM user_behavior
WHERE outcome = 'applied' ORDER BY user_id, user_seq"""
_LISTS = """
WITH judged AS (
  SELECT user_id, user_seq, "timestamp", items FROM recommendation_lists WHERE "timestamp" >= ?
  UNION ALL
  SELECT user_id, max(user_seq), arg_max("timestamp", user_seq), arg_max(items, user_seq)
  FROM recommendation_lists WHERE "timestamp" < ? GROUP BY user_id
)
SELECT user_id, "timestamp", items FROM judged ORDER BY user_id, user_seq"""
_FALLBACKS = """
SELECT count(*) FROM recommendation_lists WHERE source = 'fallback' AND "timestamp" >= ?"""


def read_traces(tables: Path, cut_off: EpochMs, actions: ActionTable) -> tuple[list[Trace], int]:
    """Return each user's trace, in the order of their ids, and the number of lists that were made without scores.

    Args:
        tables: the folder of the tables.
        cut_off: of lists before it only each user's newest is read.
        actions: the action table of the job.
    """
    from job.tables import duck  # the `recloop` command starts without it

    with duck.connect(tables) as connection:
        acts = _acts(duck.run(connection, _ACTS).rows, actions)
        lists: Any = duck.run(connection, _LISTS, [cut_off, cut_off]).rows
        fallbacks = int(str(duck.run(connection, _FALLBACKS, [cut_off]).rows[0][0]))
    times: dict[UserId, list[EpochMs]] = defaultdict(list)
    items: dict[UserId, list[tuple[ItemId, ...]]] = defaultdict(list)
    for user_id, timestamp, listed in lists:
        times[user_id].append(timestamp)
        items[user_id].append(tuple(listed))
    return [Trace(tuple(of_user), times[user_id], items[user_id]) for user_id, of_user in acts.items()], fallbacks


def _acts(rows: Any, actions: ActionTable) -> Mapping[UserId, list[Act]]:
    """Return what each user did; an impression makes nothing known."""
    entering = history_actions(actions)
    showing = {name for name, action in actions.items() if action.kind is Kind.EXPOSURE}
    acts: dict[UserId, list[Act]] = defaultdict(list)
    for user_id, item_id, action, timestamp in rows:
        acts[user_id].append(Act(item_id, timestamp, action in entering, action not in showing))
    return acts

"""Read your writes: waiting until a user's list has seen a behaviour."""

import asyncio
from contextlib import suppress

from job.serving.events import Events
from job.serving.history import Place
from job.serving.store import ListStore
from model.records import UserId


async def until_seen(store: ListStore, events: Events, user_id: UserId, after: Place, wait_s: float) -> bool:
    """Wait until the user's list has seen a place in the log; return False if the time is over before."""
    with events.watch(user_id) as changes:
        if is_seen(store, user_id, after):
            return True
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while not changes.over:
                    await changes.wait()
                    changes.take()
                    if is_seen(store, user_id, after):
                        return True
    return is_seen(store, user_id, after)


def is_seen(store: ListStore, user_id: UserId, after: Place) -> bool:
    """Return whether the user's list has seen everything of the user up to a place in the log."""
    row = store.list_of(user_id)
    seen_to = row.log_offset if row is not None and row.log_partition == after.partition else -1
    if seen_to >= after.offset:
        return True
    if store.position("behaviors", after.partition).next_offset <= after.offset:
        return False
    # A duplicate or a dead letter makes no list: the last behaviour before it that does is enough.
    needed = store.history_of(user_id).needed_offset(after)
    return needed is None or seen_to >= needed

"""The steps in which a log is appended so that no list knows of trends that are newer than what it is judged by.

A list is looked up in by its user's next behaviours, or after the next refresh. So a step ends before a user acts at
another time, and at every full minute, of which hours and days begin with one: when each step waits for the lists of
the one before, whatever trends a list was blended with are older than all that it serves. Pure.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from operator import attrgetter

from model.records import UserBehavior, UserId

_MINUTE_MS = 60_000


def steps_of(behaviors: Iterable[UserBehavior]) -> Iterator[list[UserBehavior]]:
    """Yield the behaviours, oldest first, in steps: each user acts at one time of a step, and all in one minute."""
    step: list[UserBehavior] = []
    users: set[UserId] = set()
    for time, group in groupby(behaviors, key=attrgetter("timestamp")):
        together = list(group)
        acting = {behavior.user_id for behavior in together}
        if step and (users & acting or step[0].timestamp // _MINUTE_MS != time // _MINUTE_MS):
            yield step
            step, users = [], set()
        step += together
        users |= acting
    if step:
        yield step

"""The trends, counted from the behaviours that the server reads, as find-trends counts it in the job."""

import time

from job.serving.store import ListStore, Write
from model.actions import ActionTable
from model.records import ItemId
from udfs.elements import LoggedBehavior
from udfs.trends.trends import TrendRules, Trends


class Trending:
    """The trends of all behaviours read so far; the follower's thread changes them, and any thread reads `strongest`.

    Attributes:
        strongest: item -> strength, 1 for the strongest, in falling order; replaced as a whole.
    """

    def __init__(self, store: ListStore, rules: TrendRules, actions: ActionTable) -> None:
        sums, landmark_ms = store.trends()
        self._trends = Trends(landmark_ms=landmark_ms, sums=sums)
        self._rules = rules
        self._actions = actions
        self._due_at = 0.0
        self._changed = bool(sums)
        self.strongest: dict[ItemId, float] = {}
        self.renew()

    def add(self, behaviors: list[LoggedBehavior], write: Write) -> None:
        """Count behaviours, and write the sums with them."""
        landmark = self._trends.landmark_ms
        acts = [each for each in behaviors if self._actions[each.action].weight > 0]
        for each in acts:
            self._trends.add(each.item_id, self._actions[each.action].weight, each.timestamp, self._rules)
        changed = {each.item_id for each in acts}
        if self._trends.landmark_ms != landmark:
            changed = set(self._trends.sums)
        gone = self._trends.prune(self._rules)
        sums = self._trends.sums
        write.set_trends({item: sums[item] for item in changed if item in sums}, gone, self._trends.landmark_ms)
        self._changed = self._changed or bool(acts)

    def renew(self) -> None:
        """Find the strongest again, if some changed and the interval is over."""
        if self._changed and time.monotonic() >= self._due_at:
            self.strongest = self._trends.strongest(self._rules.size)
            self._due_at = time.monotonic() + self._rules.interval_ms / 1000
            self._changed = False

    def forget(self) -> None:
        """Begin anew."""
        self._trends = Trends()
        self._changed = True

"""The sweep: after a deployment that withdraws items, every stored list that holds one is made anew without it.

Users who do nothing would keep it for ever otherwise. poll-log says once to every bucket that the job has begun; what
follows is done a few lists at a time, by a timer of the bucket, so that behaviours and checkpoints go on between. A
job that restarts meanwhile begins again: a list that was swept holds nothing any more. A swept list is not filled up,
as what its user owns or dislikes comes with the user's next behaviour only.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from udfs.elements import Begun
from udfs.hashing import HASH_TYPECODE, id_hash
from udfs.lists.list_codec import decode_hashes, decode_list, encode_hashes, encode_list
from udfs.lists.user_list import Policy, UserList, reason_text
from udfs.rows import RecommendationListRow

WITHDRAWN = "withdrawn"
"""In place of an action: what caused a list that was swept."""
LISTS_A_TURN = 200
"""So many take a few milliseconds: less than a poll."""


class Lists(Protocol):
    """A MapState of a bucket's lists, by user."""

    def get(self, key: str, /) -> Any:
        """One user's list."""
        ...

    def put(self, key: str, value: bytes, /) -> None:
        """Stores one."""
        ...

    def keys(self) -> Iterable[str]:
        """The users."""
        ...

    def items(self) -> Iterable[tuple[str, bytes]]:
        """All of them."""
        ...


class Begin(NamedTuple):
    """What begins a sweep: the epoch of the rows, and the place in the log that they stand behind."""

    epoch: int
    begun: Begun


@dataclass(slots=True)
class _UnderWay:
    """A bucket's sweep: what is left to be looked at."""

    begin: Begin
    left: Iterator[tuple[str, bytes]]


class ListSweep:
    """Sweeps the buckets of one subtask; `lists` and `swept` are states of whichever is the current key."""

    def __init__(self, lists: Lists, swept: Any, withdrawn: frozenset[str], policy: Policy) -> None:
        """`swept` is a ValueState of bytes: hashes of what the bucket's lists are free of."""
        self._lists = lists
        self._swept = swept
        self._withdrawn = withdrawn
        self._hashes = array(HASH_TYPECODE, sorted(map(id_hash, withdrawn)))
        self._policy = policy
        self._under_way: dict[int, _UnderWay] = {}

    def begin(self, key: int, begin: Begin) -> bool:
        """Return whether the bucket has to be swept, which `turn` does from now on."""
        if key in self._under_way:
            return False
        state = self._swept.value()
        before = array(HASH_TYPECODE) if state is None else decode_hashes(state)
        if set(self._hashes) <= set(before):
            self._done(before)
            return False
        self._under_way[key] = _UnderWay(begin, iter(self._lists.items()))
        return True

    def turn(self, key: int, now_ms: int) -> tuple[list[RecommendationListRow], bool]:
        """Look at the next few lists; return the rows of those made anew, and whether there are more to look at."""
        if (sweep := self._under_way.get(key)) is None:  # a timer of an earlier attempt
            return [], False
        rows: list[RecommendationListRow] = []
        for _ in range(LISTS_A_TURN):
            if (found := self._next(sweep)) is None:
                del self._under_way[key]
                self._done(None)
                return rows, False
            user_id, state = found
            if not self._withdrawn.isdisjoint(decode_list(state).items):
                rows += self._swept_list(user_id, sweep.begin, now_ms)
        return rows, True

    def _next(self, sweep: _UnderWay) -> tuple[str, bytes] | None:
        """The next list, as it was at some moment since the sweep began.

        RocksDB goes on wherever it was. A hash map ends with an error where a new user came between two turns: then all
        users that are left, or were seen already, are noted at once, which takes no more memory than the map does.
        """
        try:
            return next(sweep.left, None)
        except Exception:  # Java's ConcurrentModificationException comes as a type of the bridge's own
            users = list(self._lists.keys())
            sweep.left = ((user_id, self._lists.get(user_id)) for user_id in users)
            return next(sweep.left, None)

    def _swept_list(self, user_id: str, begin: Begin, now_ms: int) -> list[RecommendationListRow]:
        """Makes the list anew, if it still is as it was seen: a behaviour may have done so meanwhile."""
        before = decode_list(self._lists.get(user_id))
        gone = [item for item in before.items if item in self._withdrawn]
        if not gone:
            return []
        after = without(before, self._withdrawn)
        self._lists.put(user_id, encode_list(after))
        return [swept_list_row(user_id, after, gone[0], self._policy, begin, now_ms)]

    def _done(self, before: "array[int] | None") -> None:
        if before is None or set(before) != set(self._hashes):
            self._swept.update(encode_hashes(self._hashes))


def without(user_list: UserList, withdrawn: frozenset[str]) -> UserList:
    """Return the user's next list: the same without these items."""
    kept = [place for place, item in enumerate(user_list.items) if item not in withdrawn]
    return UserList(
        list_version=user_list.list_version + 1,
        user_seq=user_list.user_seq,
        items=[user_list.items[place] for place in kept],
        scores=array("f", [user_list.scores[place] for place in kept]),
        reasons=[user_list.reasons[place] for place in kept],
    )


def swept_list_row(
    user_id: str, user_list: UserList, item_id: str, policy: Policy, begin: Begin, now_ms: int
) -> RecommendationListRow:
    """Return the row of a list that was swept; its cause is the item, and no behaviour."""
    return RecommendationListRow(
        user_id=user_id,
        items=user_list.items,
        scores=[round(score, 6) for score in user_list.scores],
        reasons=[reason_text(reason) for reason in user_list.reasons],
        list_version=user_list.list_version,
        user_seq=user_list.user_seq,
        action=WITHDRAWN,
        item_id=item_id,
        log_partition=begin.begun.log_partition,
        log_offset=begin.begun.log_offset,
        policy=policy.value,
        source="rules",
        fallback_reason=None,
        model_version=None,
        model_hash=None,
        variant=None,
        trend_snapshot=None,
        batch_size=None,
        timestamp=now_ms,
        appended_at=None,
        written_at=now_ms,
        epoch=begin.epoch,
    )

"""The sweep: after a deployment that withdraws items, every user is sent to update-lists once, which makes lists anew.

Otherwise users who do nothing would keep a withdrawn item for ever. poll-log announces once to every bucket that the
job has begun; the bucket then sends a few users at a time, by a timer, so that behaviours and checkpoints go on
between. It is done here, where profiles are: a list is filled up with items that its user does not own, dislike or
know. A job that restarts meanwhile begins the bucket again, and lists that were swept are left as they are.
"""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from udfs.elements import Begun, ListOwner, Sweep
from udfs.hashing import HASH_TYPECODE, id_hash
from udfs.users.profile import ProfileRules, list_owner
from udfs.users.profile_codec import decode_hashes, decode_profile, encode_hashes

USERS_A_TURN = 50
"""At most 1 MB, where profiles are full; some 50 KB where they are as users are."""
PAUSE_MS = 4
"""From one turn of a subtask to its next, so that behaviours have most of its time."""


class Profiles(Protocol):
    """A MapState of a bucket's profiles, by user."""

    def get(self, key: str, /) -> Any:
        """Return one user's profile."""
        ...

    def keys(self) -> Iterable[str]:
        """Return the users."""
        ...


@dataclass(slots=True)
class _UnderWay:
    """A bucket's sweep: the users that are left."""

    begun: Begun
    left: Iterator[str]


class SweepUsers:
    """The sweeps of one subtask's buckets; `profiles` and `swept` are states of whichever is the current key."""

    def __init__(self, profiles: Profiles, swept: Any, withdrawn: frozenset[str], rules: ProfileRules) -> None:
        """Take the states; `swept` is a ValueState of bytes: hashes of items that the bucket's lists are free of."""
        self._profiles = profiles
        self._swept = swept
        self._hashes = array(HASH_TYPECODE, sorted(map(id_hash, withdrawn)))
        self._rules = rules
        self._under_way: dict[int, _UnderWay] = {}

    def begin(self, key: int, begun: Begun) -> bool:
        """Begin the bucket's sweep, which `turn` does; return False if it has begun already, or is not needed."""
        if key in self._under_way:
            return False
        state = self._swept.value()
        before = array(HASH_TYPECODE) if state is None else decode_hashes(state)
        if set(self._hashes) <= set(before):
            if len(self._hashes) < len(before):
                self._done()
            return False
        self._under_way[key] = _UnderWay(begun=begun, left=iter(self._profiles.keys()))
        return True

    def turn(self, key: int) -> Sweep | None:
        """Return the next few users; None where no sweep is under way."""
        if (sweep := self._under_way.get(key)) is None:  # a timer of an earlier attempt
            return None
        owners: list[ListOwner] = []
        while len(owners) < USERS_A_TURN and (user_id := self._next(sweep)) is not None:
            owners.append(list_owner(user_id, decode_profile(self._profiles.get(user_id)), self._rules))
        if len(owners) < USERS_A_TURN:
            del self._under_way[key]
            self._done()
        return Sweep(begun=sweep.begun, owners=owners)

    def pause_ms(self, key: int) -> int | None:
        """Return how long the bucket's next turn waits, as the swept buckets take turns; None where none is left."""
        return PAUSE_MS * len(self._under_way) if key in self._under_way else None

    def _next(self, sweep: _UnderWay) -> str | None:
        """Return the next user, which may be one that came since the sweep began; None where no user is left.

        RocksDB goes on wherever it was. A hash map ends with an error where a new user came between two turns: then all
        users are listed at once and begun again, which takes no more memory than the map does.
        """
        try:
            return next(sweep.left, None)
        except Exception:  # Java's ConcurrentModificationException comes as a type of the bridge's own
            sweep.left = iter(list(self._profiles.keys()))
            return next(sweep.left, None)

    def _done(self) -> None:
        self._swept.update(encode_hashes(self._hashes))

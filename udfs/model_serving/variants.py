"""The variant of an A/B test that a user is in: the same one on every machine and after every restart.

By weighted rendezvous hashing (Schindelhauer and Schomaker, "Weighted Distributed Hash Tables", SPAA 2005): every
variant draws a number for the user from a hash, and the greatest wins. A variant's share of the users is its share of
the weights. While names and salt stay, a changed weight moves users only into that variant or only out of it, never
between two others, and no more than its share changes by. The same holds for a variant that is added or removed.
Another salt assigns everybody anew.

Pure: no Flink, no clock.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from model.records import UserId
from model.registry.bundle_source import BundleSource

_USERS_REMEMBERED = 65_536
"""Users whose variant is not drawn again: a draw hashes once per variant."""
_HASHES = 2.0**64
"""Number of values of an 8-byte digest."""


@dataclass(frozen=True, slots=True)
class Variant:
    """One variant of an A/B test, or the only one.

    Attributes:
        name: its name in rows.
        weight: its share of the users, relative to the others'.
        source: the source of its bundle.
    """

    name: str
    weight: float
    source: BundleSource


class Variants:
    """An assignment of users to variants."""

    def __init__(self, weights: Mapping[str, float], salt: str) -> None:
        """Take weights relative to their sum.

        Args:
            weights: variant -> weight, 0 and above; nobody is in a variant of weight 0.
            salt: names the test; tests with other salts assign users independently of this one.

        Raises:
            ValueError: no weight is above 0.
        """
        self._weights = {name: weight for name, weight in weights.items() if weight > 0}
        if not self._weights:
            msg = "at least one variant needs a weight above 0"
            raise ValueError(msg)
        self._salt = salt
        self.of = lru_cache(_USERS_REMEMBERED)(self._of)
        """Return the user's variant. The order in which variants are given has no part in it."""

    def _of(self, user_id: UserId) -> str:
        if len(self._weights) == 1:
            return next(iter(self._weights))
        return max(sorted(self._weights), key=lambda name: self._drawn(name, user_id))

    def _drawn(self, name: str, user_id: UserId) -> float:
        """Draw the variant's number for the user: the greatest with a probability in proportion to the weight."""
        digest = hashlib.blake2b(f"{self._salt}\0{name}\0{user_id}".encode(), digest_size=8).digest()
        share = (int.from_bytes(digest, "little") + 0.5) / _HASHES  # above 0, and rounded to 1 at most
        return math.log(share) / self._weights[name]

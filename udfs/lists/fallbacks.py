"""The items that fill lists which the model leaves short: read once a start, from the bundle's light files."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from model.bundles.bundle import Bundle
from model.registry.bundle_source import BundleSource
from udfs.lists.list_rules import Fallbacks, ListRules, Near, nothing_near

_REMEMBERED = 10_000
"""Items whose neighbours are kept as text: some 2 KB each."""


@dataclass(frozen=True, slots=True)
class BundleFallbacks:
    """A loader of a bundle's fallbacks; small, and pickled into the job.

    Attributes:
        source: the source of the bundle; None fills nothing.
        with_groups: whether item groups are needed (they take memory for every item).
        with_neighbors: whether the neighbours of items are needed, likewise.
    """

    source: BundleSource | None
    with_groups: bool
    with_neighbors: bool = False

    @classmethod
    def needed(cls, source: BundleSource | None, rules: ListRules) -> "BundleFallbacks":
        """Return the loader of what these rules need."""
        return cls(source, with_groups=rules.max_per_group is not None, with_neighbors=rules.diversity > 0)

    def __call__(self) -> Fallbacks:
        """Load the bundle, and return its fallbacks; empty ones without a source.

        Raises:
            BundleError: the bundle is not whole.
            RegistryError: the registry does not name a version to serve, and nothing was served here before.
        """
        return Fallbacks() if self.source is None else self.source.load_first(self.of)

    def of(self, bundle: Bundle) -> Fallbacks:
        """Return the fallbacks of a bundle that is loaded."""
        groups = dict(zip(bundle.vocabulary, bundle.groups, strict=True)) if self.with_groups else {}
        near = neighbors_of(bundle) if self.with_neighbors else nothing_near
        return Fallbacks(popular=tuple(item for item, _ in bundle.popularity), groups=groups, near=near)


def neighbors_of(bundle: Bundle) -> Near:
    """Return the bundle's neighbours as a function: the nearest of an item's n is 1 like it, the last 1 / n."""
    vocabulary, index_of, table = bundle.vocabulary, bundle.index_of, bundle.neighbors

    @lru_cache(maxsize=_REMEMBERED)
    def near(item_id: str) -> Mapping[str, float]:
        found = table[index_of[item_id]].tolist() if item_id in index_of else []
        return {vocabulary[other - 1]: 1.0 - rank / len(found) for rank, other in enumerate(found) if other}

    return near

"""The items that fill lists which the model leaves short: read once a start, from the bundle's light files."""

from dataclasses import dataclass

from model.bundles.bundle import Bundle
from model.registry.bundle_source import BundleSource
from udfs.lists.user_list import Fallbacks


@dataclass(frozen=True, slots=True)
class BundleFallbacks:
    """A loader of a bundle's fallbacks; small, and pickled into the job.

    Attributes:
        source: the source of the bundle; None fills nothing.
        with_groups: whether item groups are needed (they take memory for every item).
    """

    source: BundleSource | None
    with_groups: bool

    def __call__(self) -> Fallbacks:
        """Load the bundle, and return its fallbacks; empty ones without a source.

        Raises:
            BundleError: the bundle is not whole.
            RegistryError: the registry does not name a version to serve, and nothing was served here before.
        """
        return Fallbacks() if self.source is None else self.source.load_first(self._of)

    def _of(self, bundle: Bundle) -> Fallbacks:
        groups = dict(zip(bundle.vocabulary, bundle.groups, strict=True)) if self.with_groups else {}
        return Fallbacks(popular=tuple(item for item, _ in bundle.popularity), groups=groups)

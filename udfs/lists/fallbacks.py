"""What fills lists that the model leaves short: read once a start, from the bundle's light files."""

from dataclasses import dataclass

from model.bundles.bundle import Bundle
from model.registry.bundle_source import BundleSource
from udfs.lists.user_list import Fallbacks


@dataclass(frozen=True, slots=True)
class BundleFallbacks:
    """Loads the fallbacks of a bundle; small, and pickled into the job.

    Attributes:
        source: where the bundle comes from; None fills nothing.
        with_groups: whether item groups are needed (they take memory for every item).
    """

    source: BundleSource | None
    with_groups: bool

    def __call__(self) -> Fallbacks:
        """Reads the files.

        Raises:
            BundleError: the bundle is not whole.
            RegistryError: the registry does not say which, and nothing was served here before.
        """
        return Fallbacks() if self.source is None else self.source.load_first(self._of)

    def _of(self, bundle: Bundle) -> Fallbacks:
        groups = dict(zip(bundle.vocabulary, bundle.groups, strict=True)) if self.with_groups else {}
        return Fallbacks(tuple(item for item, _ in bundle.popularity), groups=groups)

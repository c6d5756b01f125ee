"""What fills lists that the model leaves short: read once, from the bundle's light files."""

from dataclasses import dataclass
from pathlib import Path

from model.bundle import Bundle
from udfs.user_list import Fallbacks


@dataclass(frozen=True, slots=True)
class BundleFallbacks:
    """Loads the fallbacks of a bundle; small, and pickled into the job.

    Attributes:
        bundle: the bundle's folder; None fills nothing.
        with_groups: whether item groups are needed (they take memory for every item).
    """

    bundle: Path | None
    with_groups: bool

    def __call__(self) -> Fallbacks:
        """Reads the files.

        Raises:
            BundleError: the bundle is not whole.
        """
        if self.bundle is None:
            return Fallbacks()
        bundle = Bundle.load(self.bundle)
        groups = dict(zip(bundle.vocabulary, bundle.groups, strict=True)) if self.with_groups else {}
        return Fallbacks(tuple(item for item, _ in bundle.popularity), groups=groups)

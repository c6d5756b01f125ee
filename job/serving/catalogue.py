"""The items as people know them: titles, groups, similar and popular ones, from a bundle or a prepared data set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from job.tables.titles import read_titles
from model.bundles.bundle import Bundle
from model.bundles.bundle_files import MANIFEST
from model.records import ItemId

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


@dataclass(frozen=True)
class Catalogue:
    """The items as a bundle or data set describes them; empty where no bundle is given.

    Attributes:
        titles: by item id.
        groups: by item id.
        popular: item ids, most popular first.
        version: of the bundle that it is from.
    """

    titles: Mapping[ItemId, str] = field(default_factory=dict)
    groups: Mapping[ItemId, str] = field(default_factory=dict)
    popular: Sequence[ItemId] = ()
    version: str | None = None
    _bundle: Bundle | None = None

    @classmethod
    def of(cls, folder: Path | None) -> "Catalogue":
        """Read a bundle, or a prepared data set, which has titles alone.

        Raises:
            BundleError: the bundle is damaged.
            TablesError: the folder is neither.
        """
        if folder is None:
            return cls()
        if not (folder / MANIFEST).exists():
            return cls(titles=read_titles(folder))
        bundle = Bundle.load(folder)
        return cls(
            titles=_named(bundle.vocabulary, bundle.titles),
            groups=_named(bundle.vocabulary, bundle.groups),
            popular=tuple(item_id for item_id, _ in bundle.popularity),
            version=bundle.manifest.version,
            _bundle=bundle,
        )

    def title(self, item_id: ItemId) -> str | None:
        """Return an item's title; None if it has none."""
        return self.titles.get(item_id)

    def group(self, item_id: ItemId) -> str | None:
        """Return an item's group; None if it has none."""
        return self.groups.get(item_id)

    def knows(self, item_id: ItemId) -> bool:
        """Return whether the bundle has the item."""
        return self._bundle is not None and item_id in self._bundle.index_of

    def similar(self, item_id: ItemId, n: int) -> list[ItemId]:
        """Return the items nearest to one that the bundle has, nearest first; none of others."""
        if self._bundle is None or (index := self._bundle.index_of.get(item_id)) is None:
            return []
        return [self._bundle.vocabulary[near - 1] for near in self._neighbors[index][:n].tolist() if near]

    @cached_property
    def _neighbors(self) -> "npt.NDArray[np.int32]":
        if self._bundle is None:
            raise AssertionError
        return self._bundle.neighbors


def _named(vocabulary: Sequence[ItemId], names: Sequence[str]) -> dict[ItemId, str]:
    return {item_id: name for item_id, name in zip(vocabulary, names, strict=True) if name}

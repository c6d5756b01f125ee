"""The files of a bundle that say what its model knows: vocabulary, catalogue, neighbours and popular items.

Each is decoded and checked against the manifest and the vocabulary. Lists, reasons and filters are made from them
without a further check, so a bundle whose files contradict each other is refused here. No torch is imported.
"""

import io
from collections.abc import Mapping
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from model.bundles.bundle_files import CATALOG, NEIGHBORS, POPULARITY, VOCABULARY, decode
from model.bundles.manifest import BundleCorruptError
from model.ids import MAX_ID_BYTES
from model.records import ItemId

Popular = tuple[tuple[ItemId, int], ...]
_Texts = tuple[str, ...]


class _Catalog(msgspec.Struct, frozen=True):
    """The content of catalog.json, parallel to the vocabulary."""

    titles: _Texts
    groups: _Texts


def read_vocabulary(folder: Path, content: bytes, items: int) -> tuple[ItemId, ...]:
    """Return the vocabulary, after checking that it has that many different ids, each of 1 to `MAX_ID_BYTES` bytes.

    Raises:
        BundleCorruptError: it is something else.
    """
    file = folder / VOCABULARY
    vocabulary: tuple[ItemId, ...] = decode(file, content, tuple[ItemId, ...])
    if len(vocabulary) != items:
        raise _refused(file, f"{len(vocabulary):,} items, and the manifest says {items:,}")
    if len(set(vocabulary)) < len(vocabulary):
        raise _refused(file, "an item twice")
    if wrong := [size for size in (len(item.encode()) for item in vocabulary) if not 0 < size <= MAX_ID_BYTES]:
        raise _refused(file, f"an id of {wrong[0]:,} bytes, and an id has 1 to {MAX_ID_BYTES}")
    return vocabulary


def read_catalog(folder: Path, content: bytes, items: int) -> tuple[_Texts, _Texts]:
    """Return the titles and the groups, after checking their numbers.

    Raises:
        BundleCorruptError: the file is something else.
    """
    file = folder / CATALOG
    catalog: _Catalog = decode(file, content, _Catalog)
    if {len(catalog.titles), len(catalog.groups)} != {items}:
        found = f"{len(catalog.titles):,} titles and {len(catalog.groups):,} groups"
        raise _refused(file, f"{found}, and the manifest says {items:,} items")
    return catalog.titles, catalog.groups


def read_neighbors(folder: Path, content: bytes, shape: tuple[int, int]) -> npt.NDArray[np.int32]:
    """Return the table of neighbours, after checking its shape and that each row has different other items, then pads.

    Raises:
        BundleCorruptError: the file is something else.
    """
    file = folder / NEIGHBORS
    try:
        table = np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        msg = f"{file} is no table of numbers; train the model again"
        raise BundleCorruptError(msg) from error
    if table.shape != shape or table.dtype != np.int32:
        msg = f"{file} is {table.dtype} {table.shape}, not int32 {shape}; train the model again"
        raise BundleCorruptError(msg)
    if table.size:
        if table.min() < 0 or table.max() >= len(table):
            raise _refused(file, "an index that is none of the vocabulary's")
        if table[0].any():
            raise _refused(file, "neighbours in row 0, which is no item's")
        if (table[1:] == np.arange(1, len(table))[:, None]).any():
            raise _refused(file, "an item that is its own neighbour")
        if ((table[:, :-1] == 0) & (table[:, 1:] > 0)).any():
            raise _refused(file, "a neighbour behind an empty place")
        ordered = np.sort(table, axis=1)
        if ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] > 0)).any():
            raise _refused(file, "a neighbour twice")
    table.flags.writeable = False
    return np.asarray(table)


def read_popularity(folder: Path, content: bytes, index_of: Mapping[ItemId, int]) -> Popular:
    """Return the popular items, after checking that the vocabulary has them, and that they are different and in order.

    Raises:
        BundleCorruptError: the file is something else.
    """
    file = folder / POPULARITY
    popular: Popular = decode(file, content, Popular)
    counts = [count for _, count in popular]
    if any(item not in index_of for item, _ in popular):
        raise _refused(file, "an item that is none of the vocabulary's")
    if len({item for item, _ in popular}) < len(popular):
        raise _refused(file, "an item twice")
    if min(counts, default=0) < 0:
        raise _refused(file, "a count below 0")
    if counts != sorted(counts, reverse=True):
        raise _refused(file, "counts that are not best first")
    return popular


def _refused(file: Path, fault: str) -> BundleCorruptError:
    return BundleCorruptError(f"{file} has {fault}; train the model again")

"""The bundle: a folder with a trained recommender and everything needed to serve it.

- manifest.json: a `Manifest`, with the sha256 of every other file.
- model.pt: TorchScript, `forward` as `model.networks.recommender` has it.
- vocabulary.json: item ids; the item at position i has model index i + 1, and 0 pads.
- catalog.json: {"titles", "groups"}, parallel to the vocabulary.
- neighbors.npy: int32 (n + 1, M), each item's nearest others first, 0 pads; row 0 is 0.
- popularity.json: [[item id, count], ...], each item once, best first.

The sha256 of each other file is checked before the file is decoded, and nothing is pickled. Only `load_module` imports
torch, so reading titles is quick.
"""

import hashlib
import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import numpy.typing as npt

from model.bundles.bundle_files import (
    BUNDLE,
    CATALOG,
    FILES,
    MANIFEST,
    MODEL,
    NEIGHBORS,
    POPULARITY,
    VOCABULARY,
    BundleFiles,
    folder_reader,
    read_checked,
)
from model.bundles.light_files import Popular, read_catalog, read_neighbors, read_popularity, read_vocabulary
from model.bundles.manifest import (
    BundleContractError,
    BundleCorruptError,
    BundleDeviceError,
    BundleEmptyError,
    BundleError,
    BundleMissingError,
    Compression,
    Manifest,
    Training,
)
from model.files import replace_file
from model.folders import whole_folder
from model.records import ItemId

if TYPE_CHECKING:
    from torch import nn

__all__ = [
    "FILES",
    "MANIFEST",
    "Bundle",
    "BundleContractError",
    "BundleCorruptError",
    "BundleDeviceError",
    "BundleEmptyError",
    "BundleError",
    "BundleMissingError",
    "Compression",
    "Contents",
    "Manifest",
    "Popular",
    "Training",
    "load_module",
    "read_manifest",
    "with_metrics",
    "write_bundle",
]


@dataclass(frozen=True, slots=True)
class Bundle:
    """A checked bundle.

    Attributes:
        path: the folder.
        manifest: its description.
        hash: sha256 of manifest.json in hex; it covers every file.
        vocabulary: item ids; `vocabulary[i]` has model index i + 1.
        index_of: item id -> model index.
        titles: parallel to the vocabulary.
        groups: parallel to the vocabulary.
        neighbors: int32 (n + 1, M), nearest first, 0 pads; not writable.
        popularity: items and their counts, best first.
        device: where `load_module` puts the model.
    """

    path: Path
    manifest: Manifest
    hash: str
    vocabulary: tuple[ItemId, ...]
    index_of: Mapping[ItemId, int]
    titles: tuple[str, ...]
    groups: tuple[str, ...]
    neighbors: npt.NDArray[np.int32]
    popularity: Popular
    device: str = "cpu"

    @classmethod
    def load(cls, path: Path, *, device: str = "cpu") -> "Bundle":
        """Read a bundle, after checking its contract version and every sha256.

        Raises:
            BundleMissingError: there is no bundle, or one of its files is missing.
            BundleCorruptError: a file is not what the manifest says, or contradicts another one.
            BundleContractError: it was made for another version of the contract.
            BundleEmptyError: it knows no item.
        """
        files = BundleFiles.of_folder(path)
        manifest = files.manifest
        content = {name: files.read(name) for name in FILES}
        vocabulary = read_vocabulary(path, content[VOCABULARY], manifest.items)
        titles, groups = read_catalog(path, content[CATALOG], manifest.items)
        index_of = {item_id: number for number, item_id in enumerate(vocabulary, start=1)}
        return cls(
            path=path,
            manifest=manifest,
            hash=files.hash,
            vocabulary=vocabulary,
            index_of=index_of,
            titles=titles,
            groups=groups,
            neighbors=read_neighbors(path, content[NEIGHBORS], (manifest.items + 1, manifest.neighbors)),
            popularity=read_popularity(path, content[POPULARITY], index_of),
            device=device,
        )


def load_module(bundle: Bundle, device: str | None = None) -> "nn.Module":
    """Load a bundle's TorchScript module, ready to call; the file is checked once more.

    Args:
        bundle: a loaded bundle.
        device: cpu, cuda, cuda:1; the bundle's own if None.

    Raises:
        BundleCorruptError: model.pt changed since the bundle was loaded, or is no TorchScript.
        BundleDeviceError: it computes in 8-bit integers, and that device cannot, or not exactly.
    """
    from model.bundles.torchscript import load_script

    refuse_device_of(bundle.manifest, device or bundle.device)
    content = read_checked(bundle.path, MODEL, bundle.manifest.files[MODEL], folder_reader(bundle.path))
    try:
        return load_script(content, device or bundle.device)
    except RuntimeError as error:
        if (device or bundle.device) != "cpu":
            raise  # the device may be the cause
        reason = (str(error).strip().splitlines() or ["no reason given"])[-1][:200]  # the cause is the last line
        msg = f"{bundle.path / MODEL} is no TorchScript that can be loaded ({reason}); train the model again"
        raise BundleCorruptError(msg) from error


def refuse_device_of(manifest: Manifest, device: str) -> None:
    """Check that a bundle's model can be computed on a device.

    Raises:
        BundleDeviceError: it computes in 8-bit integers, and that device cannot, or not exactly.
    """
    if manifest.compression and "int8" in manifest.compression.how:
        from model.bundles.int8 import refuse_device

        refuse_device(device)


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of the bundle at `path`, and nothing else.

    Raises:
        BundleMissingError: there is none.
        BundleCorruptError: it cannot be understood.
        BundleContractError: it was made for another version of the contract.
    """
    return BundleFiles.of_folder(path).manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """The contents of a bundle to write; lengths and shapes as in `Bundle`.

    Attributes:
        model: bytes of the TorchScript file.
        vocabulary: item ids.
        titles: parallel to the vocabulary.
        groups: parallel to the vocabulary.
        neighbors: int32 (n + 1, M).
        popularity: items and counts, best first.
    """

    model: bytes
    vocabulary: tuple[ItemId, ...]
    titles: tuple[str, ...]
    groups: tuple[str, ...]
    neighbors: npt.NDArray[np.int32]
    popularity: Popular

    def files(self) -> dict[str, bytes]:
        """Return name -> content of every file but the manifest."""
        table = io.BytesIO()
        np.save(table, np.ascontiguousarray(self.neighbors, dtype=np.int32), allow_pickle=False)
        return {
            MODEL: self.model,
            VOCABULARY: msgspec.json.encode(self.vocabulary),
            CATALOG: msgspec.json.encode({"titles": self.titles, "groups": self.groups}),
            NEIGHBORS: table.getvalue(),
            POPULARITY: msgspec.json.encode(self.popularity),
        }


def write_bundle(
    path: Path, contents: Contents, manifest: Manifest, check: Callable[["Bundle"], None] = lambda _: None
) -> Bundle:
    """Write a bundle in one piece and read it back.

    Args:
        path: the folder; replaced if it exists.
        contents: all files but the manifest.
        manifest: its `files`, `items` and `neighbors` are filled in from the contents.
        check: raises to refuse the bundle; the folder then stays as it was.

    Raises:
        BundleError: the written files are no valid bundle.
        NotOursError: the folder holds something else.
    """
    files = contents.files()
    full = replace(
        manifest,
        files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
        items=len(contents.vocabulary),
        neighbors=contents.neighbors.shape[1],
    )
    with whole_folder(path, BUNDLE) as folder:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        (folder / MANIFEST).write_bytes(_encoded(full))
        check(Bundle.load(folder))
    return Bundle.load(path)


def with_metrics(bundle: Bundle, metrics: Mapping[str, float]) -> Bundle:
    """Replace the metrics in a bundle's manifest, in one move of the file, and return the bundle with its new hash."""
    manifest = replace(bundle.manifest, metrics=metrics)
    replace_file(bundle.path / MANIFEST, _encoded(manifest))
    return Bundle.load(bundle.path)


def _encoded(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n"

"""Bundles of models that were never trained, for what only has to be loaded."""

from pathlib import Path

import numpy as np

from model.bundles.bundle import Bundle, Compression, Contents, Manifest, Training, write_bundle
from model.bundles.torchscript import save_script
from model.networks.recommender import Recommender
from tests.unit.model.test_training import ITEMS

LENGTH = 9


def written(
    path: Path, model: Recommender, kind: str, compression: Compression | None = None, length: int = LENGTH
) -> Bundle:
    """A bundle of that model, which looks at so many items."""
    ids = tuple(f"i{n}" for n in range(1, ITEMS + 1))
    contents = Contents(
        model=save_script(model),
        vocabulary=ids,
        titles=ids,
        groups=("",) * ITEMS,
        neighbors=np.zeros((ITEMS + 1, 2), dtype=np.int32),
        popularity=(("i1", 1),),
    )
    manifest = Manifest(
        name="tiny",
        recommender=kind,
        version="1",
        created_at="2024-01-01T00:00:00+00:00",
        history_length=length,
        k=model.k,
        training=Training(dataset="tiny", fingerprint="f", cut_off=1, behaviors=2),
        compression=compression,
    )
    return write_bundle(path, contents, manifest)

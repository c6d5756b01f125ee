"""A bundle of twelve items, i1 to i12; i12 occurred most often."""

from pathlib import Path

import numpy as np

from model.bundles.bundle import Bundle, Contents, Manifest, Training, write_bundle
from model.bundles.torchscript import save_script
from model.networks.recommender import Recommender

ITEMS = 12
IDS = tuple(f"i{number}" for number in range(1, ITEMS + 1))
COUNTS = np.arange(ITEMS + 1)


def write(path: Path, model: Recommender, length: int = 5) -> Bundle:
    """A whole bundle of any recommender of these items."""
    ring = np.zeros((ITEMS + 1, 2), dtype=np.int32)  # the neighbours of i3 are i4 and i5
    ring[1:, 0], ring[1:, 1] = np.arange(1, 13) % 12 + 1, np.arange(2, 14) % 12 + 1
    contents = Contents(model=save_script(model), vocabulary=IDS, titles=IDS, groups=IDS, neighbors=ring, popularity=())
    training = Training(dataset="tiny", fingerprint="f", cut_off=1, behaviors=2)
    manifest = Manifest(name="tiny", version="1", created_at="", history_length=length, k=ITEMS, training=training)
    return write_bundle(path, contents, manifest)

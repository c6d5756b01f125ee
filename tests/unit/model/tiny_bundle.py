"""A bundle that takes a moment to write: nothing here loads its model."""

from pathlib import Path

import numpy as np

from model.bundle import Bundle, Contents, Manifest, Training, write_bundle

NAME = "tiny"


def write_tiny(path: Path, version: str, model: bytes = b"a model") -> Bundle:
    """Writes a bundle of two items."""
    contents = Contents(
        model=model,
        vocabulary=("a", "b"),
        titles=("A", "B"),
        groups=("", ""),
        neighbors=np.array([[0], [2], [1]], dtype=np.int32),
        popularity=(("a", 2),),
    )
    training = Training(dataset="none", fingerprint="f", cut_off=1, behaviors=2)
    manifest = Manifest(
        name=NAME, version=version, created_at="2026-01-01T00:00:00+00:00", history_length=5, k=2, training=training
    )
    return write_bundle(path, contents, manifest)

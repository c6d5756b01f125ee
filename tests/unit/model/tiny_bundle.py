"""A bundle of two items that takes a moment to write; its model is popularity."""

import io
from functools import cache
from pathlib import Path

import numpy as np

from model.bundles.bundle import Bundle, Contents, Manifest, Training, write_bundle

NAME = "tiny"


@cache
def tiny_model(mark: bytes) -> bytes:
    """The TorchScript file, which has the mark in it, so that files differ and may be large."""
    from model.bundles.torchscript import _torchscript
    from model.recommenders.popularity import Popularity

    content = io.BytesIO()
    with _torchscript() as jit:
        jit.save(jit.script(Popularity(np.array([0, 2, 1]), 2).eval()), content, _extra_files={"mark": mark})
    return content.getvalue()


def write_tiny(path: Path, version: str, mark: bytes = b"a model") -> Bundle:
    """Writes a bundle of two items."""
    contents = Contents(
        model=tiny_model(mark),
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

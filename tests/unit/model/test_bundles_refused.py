"""A bundle that knows nothing, or answers wrongly, is written, read, registered and pointed at by nobody."""

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from typer.testing import CliRunner

from job.cli import app
from model.bundles.answers import BundleAnswerError
from model.bundles.bundle import (
    Bundle,
    BundleCorruptError,
    BundleEmptyError,
    Contents,
    Manifest,
    Training,
    load_module,
    read_manifest,
    write_bundle,
)
from model.datasets.generate import Synthetic, generate
from model.ids import MAX_ID_BYTES
from model.registry.pointers import CANDIDATE, CURRENT
from model.registry.registry import Registry
from tests.unit.model.bundles import written
from tests.unit.model.faulty_models import Faulty
from tests.unit.model.test_training import ITEMS
from tests.unit.model.tiny_bundle import NAME, tiny_model, write_tiny

pytestmark = pytest.mark.heavy
IDS = [f"i{n}" for n in range(1, ITEMS + 1)]
"""The vocabulary of `written`."""


def empty(folder: Path) -> Path:
    """A bundle of 0 items, as earlier releases wrote it."""
    path = write_tiny(folder, "2").path
    (path / "vocabulary.json").write_text("[]")
    (path / "catalog.json").write_text('{"titles": [], "groups": []}')
    (path / "popularity.json").write_text("[]")
    np.save(path / "neighbors.npy", np.zeros((1, 1), dtype=np.int32))
    manifest = json.loads((path / "manifest.json").read_text())
    hashes = {name: hashlib.sha256((path / name).read_bytes()).hexdigest() for name in manifest["files"]}
    (path / "manifest.json").write_text(json.dumps({**manifest, "items": 0, "files": hashes}))
    return path


def test_a_bundle_of_no_items_is_neither_written_nor_read(tmp_path: Path) -> None:
    contents = Contents(
        model=tiny_model(b""),
        vocabulary=(),
        titles=(),
        groups=(),
        neighbors=np.zeros((1, 1), dtype=np.int32),
        popularity=(),
    )
    training = Training(dataset="none", fingerprint="f", cut_off=1, behaviors=0)
    manifest = Manifest(name="m", version="1", created_at="", history_length=5, k=2, training=training)
    with pytest.raises(BundleEmptyError, match="later cut-off"):
        write_bundle(tmp_path / "new", contents, manifest)
    assert not (tmp_path / "new").exists()
    for read in (Bundle.load, read_manifest, Registry(tmp_path / "r").register):
        with pytest.raises(BundleEmptyError, match="knows no item"):
            read(empty(tmp_path / "old"))


def damaged(folder: Path, file: str, content: bytes) -> Path:
    """A bundle with another file in it, whose hash is in its manifest."""
    path = written(folder, Faulty(ITEMS, "none"), "x").path
    (path / file).write_bytes(content)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["files"][file] = hashlib.sha256(content).hexdigest()
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


def table(values: object) -> bytes:
    """A file of numpy's."""
    content = io.BytesIO()
    np.save(content, np.asarray(values))
    return content.getvalue()


def near(cells: Mapping[tuple[int, int], int]) -> npt.NDArray[np.int32]:
    """A table of two neighbours with these cells, and 0 elsewhere."""
    values = np.zeros((ITEMS + 1, 2), dtype=np.int32)
    for cell, value in cells.items():
        values[cell] = value
    return values


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("neighbors.npy", b"no table"),
        ("neighbors.npy", b""),
        ("neighbors.npy", table([{"pickled": 1}])),
        ("neighbors.npy", table(np.full((ITEMS + 1, 2), ITEMS + 1, dtype=np.int32))),
        ("neighbors.npy", table(np.full((ITEMS + 1, 2), -1, dtype=np.int32))),
        ("neighbors.npy", table(near({(0, 0): 1}))),
        ("neighbors.npy", table(near({(3, 0): 3}))),
        ("neighbors.npy", table(near({(3, 0): 4, (3, 1): 4}))),
        ("neighbors.npy", table(near({(3, 1): 4}))),
        ("vocabulary.json", json.dumps(["i1"] * ITEMS).encode()),
        ("vocabulary.json", json.dumps(["", *IDS[1:]]).encode()),
        ("vocabulary.json", json.dumps([*IDS[:-1], "x" * (MAX_ID_BYTES + 1)]).encode()),
        ("vocabulary.json", json.dumps([*IDS[:-1], "\u00e9" * (MAX_ID_BYTES // 2 + 1)]).encode()),
        ("vocabulary.json", json.dumps([*IDS, "one more"]).encode()),
        ("catalog.json", json.dumps({"titles": IDS}).encode()),
        ("popularity.json", b'[["nobody knows it", 3]]'),
        ("popularity.json", b'[["i1", 3], ["i2", 2], ["i1", 1]]'),
        ("popularity.json", b'[["i1", 3], ["i2", -1]]'),
        ("popularity.json", b'[["i1", 3], ["i2", 4]]'),
        ("model.pt", b"no model"),
    ],
)
def test_a_damaged_file_with_the_right_hash_is_refused(file: str, content: bytes, tmp_path: Path) -> None:
    path = damaged(tmp_path / "b", file, content)
    with pytest.raises(BundleCorruptError, match=f"{file}.*train the model again"):
        load_module(Bundle.load(path))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("neighbors.npy", table(near({(1, 0): 2, (2, 0): 1, (2, 1): 3}))),
        ("vocabulary.json", json.dumps([*IDS[:-1], "x" * MAX_ID_BYTES]).encode()),
        ("popularity.json", b"[]"),
        ("popularity.json", b'[["i2", 3], ["i1", 3], ["i3", 0]]'),
    ],
)
def test_all_that_the_contract_allows_is_read(file: str, content: bytes, tmp_path: Path) -> None:
    Bundle.load(damaged(tmp_path / "b", file, content))


@pytest.mark.parametrize(
    "command", ["score {set} --top 2 --out {out} --bundle {bundle}", "evaluate {set} --top 2 --bundle {bundle}"]
)
def test_a_model_that_raises_is_refused_in_a_sentence(command: str, tmp_path: Path) -> None:
    generate(Synthetic(users=9, items=9, behaviors=99, tastes=2), tmp_path / "set", "set")
    bundle = written(tmp_path / "b", Faulty(ITEMS, "raises"), "x").path
    words = command.format(set=tmp_path / "set", out=tmp_path / "out.jsonl", bundle=bundle).split()
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "the model fails" in " ".join(result.output.split())


@pytest.mark.parametrize("kind", ["empty", "nan"])
def test_registering_says_in_one_sentence_what_is_wrong_with_a_bundle(kind: str, tmp_path: Path) -> None:
    bundle = empty(tmp_path / "b") if kind == "empty" else written(tmp_path / "b", Faulty(ITEMS, "nan"), "x").path
    result = CliRunner().invoke(app, ["models", "register", str(bundle), "--registry", str(tmp_path / "r")])
    assert result.exit_code == 1
    assert ("knows no item" if kind == "empty" else "is refused") in " ".join(result.output.split())
    assert not (tmp_path / "r" / NAME).exists()


@pytest.mark.parametrize("pointer", [CURRENT, CANDIDATE])
def test_no_pointer_moves_to_a_version_that_answers_wrongly(pointer: str, tmp_path: Path) -> None:
    """One that was registered by an earlier release, which tried nothing."""
    registry = Registry(tmp_path / "r")
    registry.offer(write_tiny(tmp_path / "1", "1").path)
    faulty = written(tmp_path / "b", Faulty(ITEMS, "inf"), "x").path
    faulty.rename(tmp_path / "r" / NAME / "2")
    before = registry.pointers(NAME)
    move = registry.promote if pointer == CURRENT else registry.set_candidate
    with pytest.raises(BundleAnswerError, match=r"no finite number|none of the vocabulary|empty place"):
        move(NAME, "2")
    assert registry.pointers(NAME) == before

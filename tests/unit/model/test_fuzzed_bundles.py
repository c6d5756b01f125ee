"""Of a bundle in which anything is changed nothing is used: it is refused by BundleError, or is a whole one."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.bundles.bundle import Bundle, BundleError
from model.bundles.bundle_files import FILES, MANIFEST
from tests.unit.model.tiny_bundle import write_tiny

pytestmark = pytest.mark.heavy
SHARED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
)
ODD = {"no text": b'{"name":"\xff"}', "deep": b"[" * 100_000, "deep objects": b'{"x":' * 100_000}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny(tmp_path_factory.mktemp("fuzzed") / "bundle", "1").path


@pytest.fixture
def copy(whole: Path, tmp_path: Path) -> Path:
    shutil.copytree(whole, tmp_path / "bundle")
    return tmp_path / "bundle"


def loads(folder: Path) -> bool:
    """Whether it is taken; anything but BundleError is a fault."""
    try:
        bundle = Bundle.load(folder)
    except BundleError:
        return False
    assert bundle.manifest.items == len(bundle.vocabulary) == 2
    assert bundle.neighbors.shape[0] == 3
    return True


@SHARED
@given(name=st.sampled_from(FILES), data=st.data())
def test_a_file_with_another_byte_or_length_is_refused(copy: Path, name: str, data: st.DataObject) -> None:
    content = (copy / name).read_bytes()
    changed = bytearray(content[: data.draw(st.integers(0, len(content)))])
    for place in data.draw(st.lists(st.integers(0, max(0, len(changed) - 1)), max_size=3)) if changed else ():
        changed[place] = data.draw(st.integers(0, 255))
    (copy / name).write_bytes(changed)
    assert loads(copy) == (changed == content) or name == "model.pt"
    (copy / name).write_bytes(content)


@SHARED
@given(content=st.binary(max_size=60) | values.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_no_manifest(copy: Path, content: bytes) -> None:
    before = (copy / MANIFEST).read_bytes()
    (copy / MANIFEST).write_bytes(content)
    assert not loads(copy)
    (copy / MANIFEST).write_bytes(before)


@pytest.mark.parametrize("content", ODD.values(), ids=ODD.keys())
@pytest.mark.parametrize("name", [MANIFEST, "catalog.json"])
def test_what_json_cannot_be_is_refused_in_a_sentence(copy: Path, name: str, content: bytes) -> None:
    (copy / name).write_bytes(content)
    if name != MANIFEST:
        manifest = json.loads((copy / MANIFEST).read_bytes())
        manifest["files"][name] = hashlib.sha256(content).hexdigest()
        (copy / MANIFEST).write_text(json.dumps(manifest))
    assert not loads(copy)


@SHARED
@given(data=st.data())
def test_a_manifest_with_another_value_is_refused_or_fits_its_files(copy: Path, data: st.DataObject) -> None:
    before = (copy / MANIFEST).read_bytes()
    manifest: dict[str, Any] = json.loads(before)
    field = data.draw(st.sampled_from(sorted(manifest)))
    manifest[field] = data.draw(values)
    (copy / MANIFEST).write_text(json.dumps(manifest))
    if loads(copy):
        assert field not in {"files", "items", "neighbors", "contract_version"}
    (copy / MANIFEST).write_bytes(before)

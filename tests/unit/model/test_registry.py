"""A registry keeps what was registered, serves nothing else, and says why it refuses."""

import http.server
import threading
import uuid
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import msgspec
import pytest
from fsspec.implementations import http_sync
from fsspec.implementations.memory import MemoryFileSystem

from model.bundles.bundle import FILES, MANIFEST, BundleContractError, BundleCorruptError, BundleMissingError
from model.registry.errors import (
    RegistryAccessError,
    RegistryCorruptError,
    RegistryMissingError,
    RegistryNameError,
    VersionTakenError,
)
from model.registry.pointers import Pointers, Version
from model.registry.registry import POINTERS, Registry
from model.registry.store import FolderStore, open_store
from tests.unit.model.tiny_bundle import NAME, write_tiny

pytestmark = pytest.mark.heavy


@pytest.fixture(params=["folder", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "folder":
        yield str(tmp_path / "registry")
        return
    folder = uuid.uuid4().hex
    yield f"memory://{folder}"
    if (store := MemoryFileSystem()).exists(folder):
        store.rm(folder, recursive=True)


@pytest.fixture
def registry(url: str) -> Registry:
    return Registry(url)


def registered(registry: Registry, tmp_path: Path, *versions: str) -> list[Version]:
    return [registry.register(write_tiny(tmp_path / v, v, v.encode()).path) for v in versions]


def rewrite(url: str, path: str, content: bytes) -> None:
    """What a hand, or a broken disk, does to the registry."""
    open_store(url).write(path, content)


def test_an_empty_registry_has_no_models(registry: Registry) -> None:
    assert registry.names() == ()
    with pytest.raises(RegistryMissingError, match="no model 'tiny'"):
        registry.pointers(NAME)


def test_what_was_registered_is_found_and_nothing_points_at_it(registry: Registry, tmp_path: Path) -> None:
    bundle = write_tiny(tmp_path / "b", "1")
    version = registry.register(bundle.path)
    assert version == Version("1", bundle.hash)
    assert (registry.names(), registry.versions(NAME)) == ((NAME,), ("1",))
    assert registry.manifest(NAME, "1") == bundle.manifest
    assert registry.pointers(NAME) == Pointers()


def test_a_model_can_be_registered_under_another_name(registry: Registry, tmp_path: Path) -> None:
    registry.register(write_tiny(tmp_path / "b", "1").path, "other")
    assert registry.names() == ("other",)


def test_the_same_bundle_again_changes_nothing(registry: Registry, tmp_path: Path) -> None:
    bundle = write_tiny(tmp_path / "b", "1")
    assert registry.register(bundle.path) == registry.register(bundle.path)
    assert registry.versions(NAME) == ("1",)


def test_a_version_with_other_content_is_refused(registry: Registry, tmp_path: Path) -> None:
    first = registry.register(write_tiny(tmp_path / "b", "1").path)
    with pytest.raises(VersionTakenError, match="other content"):
        registry.register(write_tiny(tmp_path / "b", "1", b"another model").path)
    assert registry.find(NAME, "1") == first
    assert registry.promote(NAME, "1").current == first


def test_a_corrupt_bundle_is_not_registered(registry: Registry, tmp_path: Path) -> None:
    bundle = write_tiny(tmp_path / "b", "1")
    (bundle.path / "model.pt").write_bytes(b"something else")
    with pytest.raises(BundleCorruptError, match=r"model\.pt is corrupt"):
        registry.register(bundle.path)
    assert registry.names() == ()


def test_another_contract_is_not_registered(registry: Registry, tmp_path: Path) -> None:
    bundle = write_tiny(tmp_path / "b", "1")
    change_manifest(bundle.path, contract_version=2)
    with pytest.raises(BundleContractError, match="contract version 2"):
        registry.register(bundle.path)
    assert registry.names() == ()


def test_a_folder_without_a_bundle_is_not_registered(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(BundleMissingError, match="recloop train"):
        registry.register(tmp_path)


@pytest.mark.parametrize("name", ["../evil", "a/b", "", ".hidden", "two words"])
def test_names_that_are_paths_are_refused(registry: Registry, tmp_path: Path, name: str) -> None:
    with pytest.raises(RegistryNameError):
        registry.pointers(name)
    registered(registry, tmp_path, "1")
    with pytest.raises(RegistryNameError):
        registry.fetch(NAME, name, tmp_path / "cache")


@pytest.mark.parametrize("version", ["current", "candidate", POINTERS])
def test_a_version_may_not_be_called_like_a_pointer(registry: Registry, tmp_path: Path, version: str) -> None:
    with pytest.raises(RegistryNameError, match="pointer"):
        registry.register(write_tiny(tmp_path / "b", version).path)


def test_a_manifest_that_names_a_path_is_refused(registry: Registry, tmp_path: Path) -> None:
    bundle = write_tiny(tmp_path / "b", "1")
    change_manifest(bundle.path, files={**bundle.manifest.files, "../../evil": "0" * 64})
    with pytest.raises(BundleCorruptError, match="no bundle has"):
        registry.register(bundle.path)


def change_manifest(bundle: Path, **changes: object) -> None:
    manifest = bundle / MANIFEST
    manifest.write_bytes(msgspec.json.encode(msgspec.json.decode(manifest.read_bytes()) | changes))


def test_pointers_move_and_another_reader_sees_it(registry: Registry, url: str, tmp_path: Path) -> None:
    one, two = registered(registry, tmp_path, "1", "2")
    reader = Registry(url)
    registry.promote(NAME, "1")
    registry.set_candidate(NAME, "2")
    assert reader.pointers(NAME) == Pointers(revision=2, current=one, candidate=two)
    registry.promote(NAME)
    assert reader.pointers(NAME) == Pointers(revision=3, current=two, previous=(one,))


def test_rolling_back_twice_goes_back_two_promotions(registry: Registry, tmp_path: Path) -> None:
    one, two, three = registered(registry, tmp_path, "1", "2", "3")
    for version in ("1", "2", "3"):
        registry.promote(NAME, version)
    assert registry.pointers(NAME).current == three
    assert registry.rollback(NAME).current == two
    assert registry.rollback(NAME).current == one
    with pytest.raises(RegistryMissingError, match="nothing to roll back to"):
        registry.rollback(NAME)
    assert registry.pointers(NAME).revision == 5


def test_what_is_offered_is_current_then_candidate(registry: Registry, tmp_path: Path) -> None:
    paths = [write_tiny(tmp_path / version, version).path for version in ("1", "2")]
    registry.offer(paths[0])
    version, pointers = registry.offer(paths[1])
    assert (pointers.current, pointers.candidate) == (registry.find(NAME, "1"), version)


def test_no_candidate_is_told_with_what_to_do(registry: Registry, tmp_path: Path) -> None:
    registered(registry, tmp_path, "1")
    with pytest.raises(RegistryMissingError, match="recloop models candidate tiny VERSION"):
        registry.promote(NAME)


def test_an_unknown_version_is_told_with_those_there_are(registry: Registry, tmp_path: Path) -> None:
    registered(registry, tmp_path, "1", "2")
    with pytest.raises(RegistryMissingError, match="no version '3'; it has 1, 2"):
        registry.promote(NAME, "3")


@pytest.mark.parametrize("file", [FILES[0], FILES[-1]])
def test_nothing_moves_to_a_version_that_is_not_whole(registry: Registry, url: str, tmp_path: Path, file: str) -> None:
    one, _ = registered(registry, tmp_path, "1", "2")
    registry.promote(NAME, "1")
    rewrite(url, f"{NAME}/2/{file}", b"broken")
    for move in (registry.promote, registry.set_candidate):
        with pytest.raises(BundleCorruptError, match=f"{file} is corrupt"):
            move(NAME, "2")
    assert registry.pointers(NAME) == Pointers(revision=1, current=one)


def test_a_rollback_to_a_version_that_is_not_whole_is_refused(registry: Registry, url: str, tmp_path: Path) -> None:
    _, two = registered(registry, tmp_path, "1", "2")
    registry.promote(NAME, "1")
    registry.promote(NAME, "2")
    rewrite(url, f"{NAME}/1/model.pt", b"broken")
    with pytest.raises(BundleCorruptError):
        registry.rollback(NAME)
    assert registry.pointers(NAME).current == two


def test_registering_again_mends_what_is_broken(registry: Registry, url: str, tmp_path: Path) -> None:
    (version,) = registered(registry, tmp_path, "1")
    rewrite(url, f"{NAME}/1/model.pt", b"broken")
    registered(registry, tmp_path, "1")
    assert registry.promote(NAME, "1").current == version


def test_a_version_without_a_manifest_is_not_there(registry: Registry, url: str, tmp_path: Path) -> None:
    rewrite(url, f"{NAME}/1/model.pt", b"half of it")
    assert registry.names() == ()
    registered(registry, tmp_path, "1")
    assert registry.versions(NAME) == ("1",)
    assert registry.promote(NAME, "1").revision == 1


def test_a_bundle_is_fetched_into_a_folder_named_by_its_hash(registry: Registry, tmp_path: Path) -> None:
    bundle = write_tiny(tmp_path / "b", "1")
    registry.offer(bundle.path)
    folder = registry.fetch(NAME, "current", tmp_path / "cache")
    assert folder == tmp_path / "cache" / bundle.hash
    assert {f.name: f.read_bytes() for f in folder.iterdir()} == {f.name: f.read_bytes() for f in bundle.path.iterdir()}


def test_a_cached_bundle_needs_no_registry(registry: Registry, url: str, tmp_path: Path) -> None:
    (version,) = registered(registry, tmp_path, "1")
    folder = registry.fetch(NAME, version, tmp_path / "cache")
    for path in (store := open_store(url)).glob(f"{NAME}/*/*"):
        store.remove(path)
    assert registry.names() == ()
    assert registry.fetch(NAME, version, tmp_path / "cache") == folder


@pytest.mark.parametrize("file", [FILES[0], FILES[-1], MANIFEST])
def test_a_broken_cached_bundle_is_fetched_anew(registry: Registry, tmp_path: Path, file: str) -> None:
    registered(registry, tmp_path, "1")
    folder = registry.fetch(NAME, "1", tmp_path / "cache")
    (folder / file).write_bytes(b"broken")
    registry.fetch(NAME, "1", tmp_path / "cache")
    assert (folder / file).read_bytes() == (tmp_path / "1" / file).read_bytes()


@pytest.mark.parametrize("file", [FILES[0], FILES[-1]])
def test_a_bundle_that_is_broken_in_the_registry_is_not_fetched(
    registry: Registry, url: str, tmp_path: Path, file: str
) -> None:
    (version,) = registered(registry, tmp_path, "1")
    rewrite(url, f"{NAME}/1/{file}", b"broken")
    with pytest.raises(BundleCorruptError, match=f"{file} is corrupt"):
        registry.fetch(NAME, "1", tmp_path / "cache")
    assert not (tmp_path / "cache" / version.hash).exists()


def test_another_bundle_in_place_of_the_promoted_one_is_refused(registry: Registry, url: str, tmp_path: Path) -> None:
    registered(registry, tmp_path, "1")
    registry.promote(NAME, "1")
    for file in write_tiny(tmp_path / "forged", "1", b"another model").path.iterdir():
        rewrite(url, f"{NAME}/1/{file.name}", file.read_bytes())
    with pytest.raises(BundleCorruptError, match="not what was registered"):
        registry.fetch(NAME, "current", tmp_path / "cache")


@pytest.mark.parametrize("content", [b"{", b'{"current": {"id": "1", "hash": "../../evil"}}'])
def test_pointers_that_make_no_sense_are_refused(registry: Registry, url: str, tmp_path: Path, content: bytes) -> None:
    registered(registry, tmp_path, "1")
    rewrite(url, f"{NAME}/{POINTERS}", content)
    with pytest.raises(RegistryCorruptError, match=r"pointers\.json cannot be understood"):
        registry.fetch(NAME, "current", tmp_path / "cache")


def test_a_registry_on_a_web_server_can_be_read(tmp_path: Path, web: str) -> None:
    writer = Registry(tmp_path / "registry")
    version, _ = writer.offer(write_tiny(tmp_path / "b", "1").path)
    reader = Registry(f"{web}/registry")
    assert (reader.names(), reader.versions(NAME)) == ((NAME,), ("1",))
    assert reader.fetch(NAME, "current", tmp_path / "cache").name == version.hash
    with pytest.raises(RegistryMissingError):
        reader.pointers("other")


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    http_sync.register()  # reading by requests, at sync-http://

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Says nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"sync-http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("url", ["nothing://x", "ftp://me:secret@127.0.0.1:1/x"])
def test_what_cannot_be_opened_is_told_without_the_password(url: str) -> None:
    with pytest.raises(RegistryAccessError, match="cannot be opened") as told:
        Registry(url)
    assert "secret" not in str(told.value)


@pytest.mark.parametrize("url", ["", " ", "file://"])
def test_no_folder_at_all_is_not_the_current_one(url: str) -> None:
    with pytest.raises(RegistryAccessError, match=r"is empty.*--registry"):
        open_store(url)


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    assert isinstance(open_store(f"file://{tmp_path}"), FolderStore)

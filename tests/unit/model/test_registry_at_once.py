"""Several processes use one registry and one cache, and some of them are killed half-way."""

import os
import resource
import signal
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from model.bundles.bundle import Bundle
from model.bundles.bundle_cache import cached
from model.bundles.bundle_files import BundleFiles, folder_reader
from model.registry.errors import RegistryAccessError
from model.registry.registry import Registry
from tests.unit.model.tiny_bundle import NAME, write_tiny

pytestmark = pytest.mark.heavy
FORK = get_context("fork")
BARRIER_S = 30


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry(tmp_path / "registry")


def at_once(*works: Callable[[], Any]) -> list[Any]:
    """Runs each in a process of its own, all from the same moment on, and gives what they return."""
    barrier, results = FORK.Barrier(len(works)), FORK.SimpleQueue()

    def run(work: Callable[[], Any]) -> None:
        barrier.wait(BARRIER_S)
        results.put(work())

    processes = [FORK.Process(target=run, args=(work,)) for work in works]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(works)
    return [results.get() for _ in works]


def died_of(work: Callable[[], Any]) -> int:
    """Runs it in a process of its own; the signal that ended it."""
    process = FORK.Process(target=work)
    process.start()
    process.join()
    return -(process.exitcode or 0)


def test_no_move_of_two_processes_is_lost(registry: Registry, tmp_path: Path) -> None:
    for version in ("a1", "a2", "b1", "b2"):
        registry.register(write_tiny(tmp_path / version, version).path)

    def mover(mine: str) -> Callable[[], list[int]]:
        return lambda: [registry.promote(NAME, f"{mine}{1 + n % 2}").revision for n in range(10)]

    revisions = at_once(mover("a"), mover("b"))
    assert sorted(revisions[0] + revisions[1]) == list(range(1, 21))
    assert registry.pointers(NAME).revision == 20


def test_one_of_two_contents_becomes_the_version(registry: Registry, tmp_path: Path) -> None:
    bundles = [write_tiny(tmp_path / model, "1", model.encode()).path for model in ("one", "other")]

    def register(bundle: Path) -> str:
        try:
            return registry.register(bundle).hash
        except Exception as error:
            return type(error).__name__

    told = at_once(*(partial(register, bundle) for bundle in bundles))
    assert "VersionTakenError" in told
    assert registry.promote(NAME, "1").current == registry.find(NAME, "1")
    assert registry.find(NAME, "1").hash in told


@pytest.mark.parametrize("broken", [False, True])
def test_a_bundle_is_copied_once_for_all_who_fetch_it(registry: Registry, tmp_path: Path, broken: bool) -> None:
    registry.offer(write_tiny(tmp_path / "b", "1", b"m" * 1_000_000).path)
    cache = tmp_path / "cache"
    if broken:
        (registry.fetch(NAME, "current", cache) / "model.pt").write_bytes(b"broken")

    def fetch() -> tuple[str, int]:
        folder = registry.fetch(NAME, "current", cache)
        return Bundle.load(folder).hash, folder.stat().st_ino

    assert len(set(at_once(fetch, fetch, fetch))) == 1


def test_a_copy_that_was_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    bundle, cache = write_tiny(tmp_path / "b", "1"), tmp_path / "cache"

    def killed_at_the_catalog(name: str) -> bytes:
        if name == "catalog.json":
            os.kill(os.getpid(), signal.SIGKILL)
        return folder_reader(bundle.path)(name)

    def copy() -> None:
        cached(cache, bundle.hash, lambda: BundleFiles("here", killed_at_the_catalog))

    assert died_of(copy) == signal.SIGKILL
    assert not (cache / bundle.hash).exists()
    folder = cached(cache, bundle.hash, lambda: BundleFiles.of_folder(bundle.path))
    assert Bundle.load(folder).hash == bundle.hash
    assert {path.name for path in cache.iterdir()} == {bundle.hash, f".{bundle.hash}.lock"}


def no_large_files() -> None:
    """Lets this process write no file above 100,000 bytes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))


def test_a_version_whose_registration_was_killed_is_not_there(registry: Registry, tmp_path: Path) -> None:
    bundle = write_tiny(tmp_path / "b", "1", b"m" * 200_000)

    def register() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        no_large_files()
        registry.register(bundle.path)

    assert died_of(register) == signal.SIGXFSZ
    assert list((tmp_path / "registry" / NAME / "1").iterdir())
    assert registry.names() == ()
    registry.register(bundle.path)
    assert registry.promote(NAME, "1").revision == 1


def test_a_registration_that_fails_leaves_nothing_behind(registry: Registry, tmp_path: Path) -> None:
    bundle = write_tiny(tmp_path / "b", "1", b"m" * 200_000)

    def register() -> bool:
        no_large_files()
        with pytest.raises(RegistryAccessError, match="File too large"):
            registry.register(bundle.path)
        return not (tmp_path / "registry" / NAME / "1").exists()

    assert at_once(register) == [True]

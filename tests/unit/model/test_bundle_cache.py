"""A cache of bundles does not grow for ever, and nothing that anybody may still load leaves it."""

import multiprocessing
import os
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

from model.bundles.bundle_cache import KEPT, UNUSED_S, cached, hold
from model.bundles.bundle_files import BundleFiles
from model.folders import MARKER, NotOursError, remove_folder, whole_folder
from model.registry.bundle_source import FromFolder, FromRegistry
from model.registry.pointers import CURRENT, Version
from tests.unit.model.test_folders import KIND
from tests.unit.model.tiny_bundle import write_tiny

pytestmark = pytest.mark.heavy


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def made(tmp_path: Path, cache: Path) -> list[Path]:
    """More bundles than are kept, in the cache, of which each was last used longer ago than the next."""
    folders = [put(cache, tmp_path, number) for number in range(KEPT + 3)]
    for age, folder in enumerate(reversed(folders)):
        unused(folder, UNUSED_S + 60 * (age + 1))
    return folders


def put(cache: Path, folder: Path, number: int) -> Path:
    files = BundleFiles.of_folder(write_tiny(folder / f"bundle-{number}", f"version-{number}").path)
    return cached(cache, files.hash, lambda: files)


def unused(folder: Path, for_s: float) -> None:
    then = time.time() - for_s
    os.utime(folder, (then, then))


def there(cache: Path) -> set[str]:
    return {each.name for each in cache.iterdir() if each.is_dir()}


def test_the_least_recently_used_leave_and_the_newest_stay(tmp_path: Path, cache: Path, made: list[Path]) -> None:
    new = put(cache, tmp_path, 99)

    assert there(cache) == {each.name for each in [*made[-(KEPT - 1) :], new]}


def test_what_is_asked_for_again_is_the_newest(tmp_path: Path, cache: Path, made: list[Path]) -> None:
    put(cache, tmp_path, 0)
    put(cache, tmp_path, 99)

    assert made[0].name in there(cache)


def test_what_was_used_not_long_ago_stays(tmp_path: Path, cache: Path, made: list[Path]) -> None:
    for folder in made:
        unused(folder, UNUSED_S - 60)
    put(cache, tmp_path, 99)

    assert there(cache) >= {each.name for each in made}


@pytest.fixture
def holder(made: list[Path], tmp_path: Path, cache: Path) -> Iterator[Connection]:
    """The end of a pipe to a process that loaded the oldest bundle as a job does, and lives."""
    here, beyond = multiprocessing.Pipe()
    source = FromFolder(tmp_path / "bundle-0", made[0].name, cache)
    process = multiprocessing.get_context("spawn").Process(target=load_and_wait, args=(source, beyond))
    process.start()
    assert here.recv()
    unused(made[0], 10 * UNUSED_S)
    yield here
    here.send("end")
    process.join()


def load_and_wait(source: FromFolder, pipe: Connection) -> None:
    source.load_first(lambda bundle: bundle.hash)
    pipe.send("loaded")
    pipe.recv()


def test_what_a_living_process_loaded_stays(tmp_path: Path, cache: Path, made: list[Path], holder: Connection) -> None:
    put(cache, tmp_path, 99)

    assert made[0].name in there(cache)
    assert made[1].name not in there(cache)


def test_what_was_served_last_of_a_registry_stays(tmp_path: Path, cache: Path, made: list[Path]) -> None:
    FromRegistry(str(tmp_path / "registry"), "m", CURRENT, cache).remember(Version("1", made[0].name))
    put(cache, tmp_path, 99)

    assert made[0].name in there(cache)
    assert made[1].name not in there(cache)


def test_only_bundles_that_were_cached_leave(tmp_path: Path, cache: Path, made: list[Path]) -> None:
    (made[0] / "thesis.txt").write_text("precious")
    (made[1] / MARKER).unlink()
    mine = cache / ("0" * 64)
    mine.mkdir()
    (mine / "photo").touch()
    other = cache / ("1" * 64)
    with whole_folder(other, KIND) as draft:
        (draft / "goods-1").touch()
    for folder in (made[0], made[1], mine, other):
        unused(folder, 10 * UNUSED_S)
    put(cache, tmp_path, 99)

    assert there(cache) >= {made[0].name, made[1].name, mine.name, other.name}
    assert made[2].name not in there(cache)
    with pytest.raises(NotOursError, match="is not a parcel"):
        remove_folder(mine, KIND)


def test_a_bundle_is_held_once(made: list[Path]) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        hold(made[0])

    assert len(list(Path("/proc/self/fd").iterdir())) == before + 1

"""A registry's pointers are followed, and nothing that is wrong there ends what is served."""

from collections.abc import Sequence
from itertools import count
from pathlib import Path

import pytest

from model.bundles.bundle import Bundle, BundleCorruptError
from model.registry.bundle_source import BundleChangedError, FromFolder, FromRegistry
from model.registry.errors import RegistryMissingError
from model.registry.pointers import Pointers
from model.registry.registry import POINTERS, Registry
from tests.job.waiting import wait_until
from tests.unit.model.tiny_bundle import NAME, write_tiny
from tests.unit.udfs.default_rules import WORKER
from udfs.elements import Candidates, ModelRef, TrackedBehavior
from udfs.model_serving import follow_models
from udfs.model_serving.follow_models import Followed, ModelFollower
from udfs.model_serving.variant_workers import ModelHangsError, Served, VariantWorker

pytestmark = pytest.mark.heavy
UNLOADABLE = b"no TorchScript"


class Scorer:
    """Loads whatever is not planted; nobody asks it here."""

    def __init__(self, bundle: Bundle) -> None:
        if UNLOADABLE in (bundle.path / "model.pt").read_bytes():
            msg = "planted"
            raise RuntimeError(msg)

    def answers(self, tracked: Sequence[TrackedBehavior]) -> Sequence[Candidates]:
        raise AssertionError

    def disliked_neighbors(self, disliked: bytes) -> bytes:
        raise AssertionError


class Bench:
    """A registry, and a follower with one worker per variant."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.registry = Registry(folder / "registry")
        self.swaps: list[tuple[str, str, str | None]] = []

    def source(self, which: str = "current") -> FromRegistry:
        return FromRegistry(str(self.folder / "registry"), NAME, which, self.folder / "cache")

    def register(self, version: str, model: bytes | None = None) -> Path:
        bundle = write_tiny(self.folder / f"bundle-{version}", version, model or version.encode())
        self.registry.register(bundle.path)
        return self.folder / "registry" / NAME / version

    def follow(self, **variants: str) -> ModelFollower:
        followed = [Followed(name, self._worker(name, which), self.source(which)) for name, which in variants.items()]
        self.workers = {each.variant: each.worker for each in followed}
        return ModelFollower(followed, self._load, self._on_swap)

    def serving(self) -> dict[str, str]:
        return {name: worker.served.ref.version for name, worker in self.workers.items()}

    def close(self) -> None:
        for worker in self.workers.values():
            worker.close()

    def _worker(self, variant: str, which: str) -> VariantWorker:
        served = self.source(which).load_first(lambda bundle: self._load(variant, bundle))
        return VariantWorker(served, WORKER, lambda _: None)

    def _load(self, variant: str, bundle: Bundle) -> Served:
        return Served(ModelRef(bundle.manifest.version, bundle.hash, variant), Scorer(bundle))

    def _on_swap(self, model: ModelRef, problem: str | None) -> None:
        self.swaps.append((model.variant, model.version, problem))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.register("1")
    made.registry.promote(NAME, "1")
    return made


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What did not load is tried again at the next look."""
    monkeypatch.setattr(follow_models, "_LONGEST_WAIT_S", 0.0)
    monkeypatch.setattr(follow_models, "_FIRST_WAIT_S", 0.0)


def test_a_moved_pointer_is_followed_back_and_forth(bench: Bench) -> None:
    follower = bench.follow(a="current")
    follower.poll()
    assert bench.swaps == []
    bench.register("2")
    bench.registry.promote(NAME, "2")
    follower.poll()
    bench.registry.rollback(NAME)
    follower.poll()
    assert bench.swaps == [("a", "2", None), ("a", "1", None)]
    assert bench.serving() == {"a": "1"}
    bench.close()


def test_a_corrupt_version_leaves_the_old_one_is_reported_once_and_served_once_it_is_mended(bench: Bench) -> None:
    follower = bench.follow(a="current")
    folder = bench.register("2")
    bench.registry.promote(NAME, "2")
    (folder / "model.pt").write_bytes(b"torn")
    for _ in range(3):
        follower.poll()
    assert bench.serving() == {"a": "1"}
    ((_, version, problem),) = bench.swaps
    assert version == "2"
    assert problem is not None
    assert problem.startswith("BundleCorruptError: ")
    bench.register("2")
    follower.poll()
    assert bench.swaps[1:] == [("a", "2", None)]
    assert bench.serving() == {"a": "2"}
    bench.close()


def test_a_version_that_is_whole_and_does_not_load_leaves_the_old_one_also_after_a_restart(bench: Bench) -> None:
    bench.source().remember(bench.registry.find(NAME, "1"))
    bench.register("2", UNLOADABLE)
    bench.registry.promote(NAME, "2")
    follower = bench.follow(a="current")
    follower.poll()
    assert bench.serving() == {"a": "1"}
    assert bench.swaps == [("a", "2", "RuntimeError: planted")]
    bench.close()


def test_a_model_that_hangs_is_reported_and_not_tried_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    follower = bench.follow(a="current")
    bench.register("2")
    bench.registry.promote(NAME, "2")
    tries = []

    def hang(variant: str, bundle: Bundle) -> Served:
        tries.append(variant)
        raise ModelHangsError(bench.workers["a"].served)

    monkeypatch.setattr(follower, "_load", hang)
    follower.poll()
    follower.poll()
    assert (tries, bench.serving()) == (["a"], {"a": "1"})
    assert bench.swaps == [("a", "2", "ModelHangsError: the model does not come back from its warm-up")]
    bench.close()


def test_what_did_not_load_is_left_for_a_while(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(follow_models, "_FIRST_WAIT_S", 1_000.0)
    follower = bench.follow(a="current")
    folder = bench.register("2")
    bench.registry.promote(NAME, "2")
    (folder / "model.pt").write_bytes(b"torn")
    follower.poll()
    bench.register("2")
    follower.poll()
    assert bench.serving() == {"a": "1"}
    bench.register("3")
    bench.registry.promote(NAME, "3")
    follower.poll()
    assert bench.serving() == {"a": "3"}, "another version is tried at once"
    bench.close()


def test_an_unreadable_registry_changes_nothing(bench: Bench) -> None:
    follower = bench.follow(a="current")
    (bench.folder / "registry" / NAME / POINTERS).write_text("{")
    follower.poll()
    (bench.folder / "registry").rename(bench.folder / "away")
    follower.poll()
    assert (bench.swaps, bench.serving()) == ([], {"a": "1"})
    bench.close()


def test_a_registry_that_raises_what_nobody_foresaw_is_polled_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    follower = bench.follow(a="current")
    bench.register("2")
    bench.registry.promote(NAME, "2")
    pointers, looks = Registry.pointers, count()

    def raising_twice(registry: Registry, name: str) -> Pointers:
        if next(looks) < 2:
            msg = "planted"
            raise LookupError(msg)
        return pointers(registry, name)

    monkeypatch.setattr(Registry, "pointers", raising_twice)
    follower.start(0.01)
    wait_until(lambda: bench.serving() == {"a": "2"}, timeout_s=10, what="the next poll")
    follower.close()
    bench.close()
    assert [record.getMessage() for record in caplog.records] == ["what is served is served on: LookupError: planted"]


def test_a_candidate_that_is_promoted_stays_and_one_that_is_withdrawn_gives_way_to_current(bench: Bench) -> None:
    for version in ("2", "3"):
        bench.register(version)
    bench.registry.set_candidate(NAME, "2")
    follower = bench.follow(a="current", b="candidate")
    assert bench.serving() == {"a": "1", "b": "2"}
    bench.registry.promote(NAME)
    follower.poll()
    assert bench.swaps == [("a", "2", None)]
    bench.registry.set_candidate(NAME, "3")
    follower.poll()
    assert bench.serving() == {"a": "2", "b": "3"}
    bench.registry.set_candidate(NAME, None)
    follower.poll()
    assert bench.serving() == {"a": "2", "b": "2"}
    bench.close()


def test_while_the_registry_is_away_a_start_serves_what_was_served_last(bench: Bench) -> None:
    source = bench.source()
    source.fetch(version := source.wanted())
    source.remember(version)
    (bench.folder / "registry").rename(bench.folder / "away")
    assert source.load_first(lambda bundle: bundle.manifest.version) == "1"


def test_where_nothing_was_served_a_start_says_what_is_wrong_with_the_registry(bench: Bench) -> None:
    (bench.folder / "registry").rename(bench.folder / "away")
    with pytest.raises(RegistryMissingError, match="has no model 'tiny'"):
        bench.source().load_first(lambda bundle: bundle)


def test_a_version_with_a_known_hash_needs_no_registry_once_it_is_in_the_cache(bench: Bench) -> None:
    version = bench.registry.find(NAME, "1")
    source = FromRegistry(str(bench.folder / "registry"), NAME, "1", bench.folder / "cache", version.hash)
    source.load_first(lambda bundle: bundle)
    (bench.folder / "registry").rename(bench.folder / "away")
    assert source.load_first(lambda bundle: bundle.hash) == version.hash


def test_a_folder_that_holds_another_bundle_than_was_deployed_is_refused(tmp_path: Path) -> None:
    deployed = write_tiny(tmp_path / "b", "1").hash
    write_tiny(tmp_path / "b", "2")
    with pytest.raises(BundleChangedError, match="the job was deployed with"):
        FromFolder(tmp_path / "b", deployed).load_first(lambda bundle: bundle)


def test_a_corrupt_current_with_nothing_served_before_is_refused(bench: Bench) -> None:
    (bench.folder / "registry" / NAME / "1" / "model.pt").write_bytes(b"torn")
    with pytest.raises(BundleCorruptError):
        bench.source().load_first(lambda bundle: bundle)

"""What a deployment serves is there and whole when it is deployed, and pinned where it stays."""

import shutil
from pathlib import Path

import pytest

from job.settings.job_settings import JobSettings, load
from job.topology.served_models import ListsTooLongError, pinned, variants
from model.bundles.answers import BundleAnswerError
from model.bundles.bundle import BundleCorruptError
from model.recommenders.popularity import Popularity
from model.registry.bundle_source import BundleChangedError
from model.registry.errors import RegistryMissingError
from model.registry.pointers import Version
from model.registry.registry import Registry
from tests.unit.model.faulty_models import Faulty
from tests.unit.model.tiny_bundle import NAME, write_tiny
from tests.unit.udfs.small_bundle import COUNTS, ITEMS, write

pytestmark = pytest.mark.heavy


@pytest.fixture
def version(tmp_path: Path) -> Version:
    """One version in a registry; nothing points at it."""
    return Registry(tmp_path / "registry").register(write_tiny(tmp_path / "bundle", "1").path)


def settings(folder: Path, *overrides: str) -> JobSettings:
    places = (f"models.url={folder / 'registry'}", f"models.name={NAME}", f"models.cache={folder / 'cache'}")
    return load(overrides=[*places, *overrides]).resolved()


def of_folder(folder: Path, name: str, *overrides: str) -> JobSettings:
    places = (f"scoring.bundle={folder / name}", f"models.cache={folder / 'cache'}")
    return load(overrides=[*places, *overrides]).resolved()


def test_a_folder_is_pinned_by_its_hash(tmp_path: Path, version: Version) -> None:
    assert pinned(of_folder(tmp_path, "bundle")) == {"default": version.hash}


def test_variants_that_stay_are_pinned_and_those_that_follow_a_pointer_are_not(
    tmp_path: Path, version: Version
) -> None:
    Registry(tmp_path / "registry").promote(NAME, "1")
    three = f'{{"a": {{"model": "current"}}, "b": {{"model": "1"}}, "c": {{"bundle": "{tmp_path / "bundle"}"}}}}'
    assert pinned(settings(tmp_path, f"models.variants={three}")) == {"b": version.hash, "c": version.hash}


@pytest.mark.usefixtures("version")
@pytest.mark.parametrize("variants", ["{}", '{"a": {"model": "current"}}', '{"a": {"model": "candidate"}}'])
def test_a_pointer_that_names_nothing_is_refused_with_the_command_that_moves_it(tmp_path: Path, variants: str) -> None:
    with pytest.raises(RegistryMissingError, match=r"recloop models (promote|candidate) tiny VERSION"):
        pinned(settings(tmp_path, f"models.variants={variants}"))


@pytest.mark.usefixtures("version")
def test_a_current_version_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    Registry(tmp_path / "registry").promote(NAME, "1")
    (tmp_path / "registry" / NAME / "1" / "model.pt").write_bytes(b"torn")
    with pytest.raises(BundleCorruptError, match="is corrupt"):
        pinned(settings(tmp_path))


def test_a_registry_without_the_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RegistryMissingError, match="has no model 'tiny'"):
        pinned(settings(tmp_path))


def test_training_into_the_folder_that_is_served_leaves_the_deployed_bundle(tmp_path: Path) -> None:
    given = of_folder(tmp_path, "b")
    deployed = write_tiny(tmp_path / "b", "1").hash
    (variant,) = variants(given, pinned(given))
    write_tiny(tmp_path / "b", "2")
    assert variant.source.load_first(lambda bundle: bundle.hash) == deployed
    shutil.rmtree(tmp_path / "b")
    assert variant.source.load_first(lambda bundle: bundle.hash) == deployed


def test_a_machine_without_the_copy_takes_the_folder_while_it_holds_what_was_deployed(tmp_path: Path) -> None:
    given = of_folder(tmp_path, "b")
    deployed = write_tiny(tmp_path / "b", "1").hash
    (variant,) = variants(given, pinned(given))
    shutil.rmtree(tmp_path / "cache")
    for _ in range(2):  # the second time from its own copy
        assert variant.source.load_first(lambda bundle: bundle.hash) == deployed
    shutil.rmtree(tmp_path / "cache")
    (tmp_path / "cache").write_text("no folder")
    assert variant.source.load_first(lambda bundle: bundle.hash) == deployed
    write_tiny(tmp_path / "b", "2")
    with pytest.raises(BundleChangedError, match="deploy again"):
        variant.source.load_first(lambda bundle: bundle.hash)


def test_a_bundle_that_answers_wrongly_is_not_deployed(tmp_path: Path) -> None:
    write(tmp_path / "b", Faulty(ITEMS, "nan"))
    given = of_folder(tmp_path, "b")
    with pytest.raises(BundleAnswerError, match="is refused"):
        pinned(given)


@pytest.mark.parametrize(("length", "candidates"), [(10, 30), (30, 30), (31, 31), (1_000, 1_000)])
def test_a_model_is_asked_for_as_many_items_as_lists_have(tmp_path: Path, length: int, candidates: int) -> None:
    given = load(overrides=[f"scoring.bundle={tmp_path}", f"lists.length={length}"])
    assert given.scoring.candidates == candidates


def test_fewer_candidates_than_lists_have_items_are_refused_with_the_setting_to_raise(tmp_path: Path) -> None:
    given = load(overrides=[f"scoring.bundle={tmp_path}", "lists.length=12", "scoring.candidates=11"])
    with pytest.raises(ListsTooLongError, match=r"scoring\.candidates=12 or more"):
        pinned(given)


@pytest.mark.parametrize(("length", "refused"), [(6, False), (7, True), (12, True), (13, True)])
def test_lists_longer_than_what_the_model_returns_are_refused(tmp_path: Path, length: int, refused: bool) -> None:
    bundle = write(tmp_path / "b", Popularity(COUNTS, 6))
    manifest = bundle.path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"k": 12', '"k": 6'))
    given = of_folder(tmp_path, "b", f"lists.length={length}")
    if not refused:
        pinned(given)
        return
    with pytest.raises(ListsTooLongError, match="--k"):
        pinned(given)


def test_lists_longer_than_the_catalogue_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "b", Popularity(COUNTS, ITEMS))
    pinned(of_folder(tmp_path, "b", "lists.length=13"))
    assert "knows 12 items: lists are shorter" in caplog.text

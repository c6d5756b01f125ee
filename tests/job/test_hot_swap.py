"""A registry's models on a real cluster: swapped under load, kept where the new one does not load, and A/B-tested."""

import hashlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from threading import Event, Thread

import msgspec
import pytest
from typer.testing import CliRunner

from job.cli import app
from job.cluster import FlinkRest
from job.deployment.deploy import deployed_settings
from job.deployment.status import JobStatus, read_status
from job.replay.log_writer import LogWriter
from model.bundles.bundle import MANIFEST, Bundle
from model.bundles.bundle_files import MODEL
from model.datasets.prepared import Dataset
from model.fit import FitConfig, fit
from model.registry.registry import POINTERS, Registry
from tests.job.fixtures import PARTITIONS, Deploy, Run
from tests.job.waiting import wait_until
from tests.unit.tables.ab_by_hand import figures, interval
from udfs.model_serving.variants import Variants

pytestmark = pytest.mark.cluster

NAME = "quick"
RATE = 200
SWAP_MS = 5_000
PARALLELISM = 2
LATE = ("deadline", "model_busy", "circuit_open")
"""Fallbacks that a busy machine makes with any model, swapped or not: a registry is served with a deadline."""
SCORED = "FROM recommendation_lists WHERE source = 'scored'"
UNLOADABLE = b"hashes hold, and it is no TorchScript"


def reversioned(bundle: Bundle, folder: Path, version: str, model: bytes | None = None) -> Path:
    """The same bundle under another version, which gives it another hash; with another model.pt if one is given."""
    shutil.copytree(bundle.path, folder)
    manifest = replace(bundle.manifest, version=version)
    if model is not None:
        (folder / MODEL).write_bytes(model)
        manifest = replace(manifest, files={**manifest.files, MODEL: hashlib.sha256(model).hexdigest()})
    (folder / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    return folder


@dataclass(frozen=True, slots=True)
class Models:
    """A registry folder whose model has versions 1, 2 and 3; 1 is current, and 3 does not load."""

    registry: Registry
    folder: Path

    def settings(self, *more: str) -> tuple[str, ...]:
        places = (f"models.url={quoted(self.folder / 'registry')}", f"models.cache={quoted(self.folder / 'cache')}")
        return (
            "scoring.bundle=null",
            *places,
            f"models.name={NAME}",
            f"flink.parallelism={PARALLELISM}",
            *more,
        )

    def promote(self, version: str) -> int:
        """When, epoch ms. One that does not load is promoted behind the registry, which would refuse it."""
        if version == "3":
            moved = self.registry.pointers(NAME).promoted(self.registry.find(NAME, version))
            (self.folder / "registry" / NAME / POINTERS).write_bytes(msgspec.json.encode(moved))
        else:
            self.registry.promote(NAME, version)
        return int(time.time() * 1000)


def quoted(path: Path) -> str:
    return json.dumps(str(path))


@pytest.fixture
def models(bundle: Bundle, tmp_path: Path) -> Models:
    registry = Registry(tmp_path / "registry")
    for version in ("1", "2"):
        registry.register(reversioned(bundle, tmp_path / f"bundle-{version}", version), NAME)
    reversioned(bundle, tmp_path / "registry" / NAME / "3", "3", UNLOADABLE)
    registry.promote(NAME, "1")
    return Models(registry, tmp_path)


class Load:
    """Behaviours of a data set, appended at a steady rate while a block runs."""

    def __init__(self, dataset: Dataset, folder: Path) -> None:
        self._behaviors = dataset.behaviors()
        self._folder = folder
        self._ended = Event()
        self.appended = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        thread = Thread(target=self._run)
        thread.start()
        try:
            yield
        finally:
            self._ended.set()
            thread.join()

    def _run(self) -> None:
        with LogWriter(self._folder, PARTITIONS) as writer:
            while not self._ended.wait(0.05):
                behaviors = list(islice(self._behaviors, RATE // 20))
                writer.append(behaviors)
                self.appended += len(behaviors)


def status_of(run: Run) -> JobStatus:
    settings = deployed_settings(run.deployment.settings.parent, "recloop")
    with FlinkRest(run.cluster.rest_url) as rest:
        return read_status(rest, run.deployment.job_id, settings, sample_s=0.1)


def swaps(run: Run, outcome: str, version: str) -> dict[object, int]:
    """Scorer -> when, epoch ms."""
    condition = f"outcome = '{outcome}' AND model_version = '{version}'"
    return {
        scorer: int(str(at))
        for scorer, at in run.rows(f'SELECT scorer, "timestamp" FROM model_swaps WHERE {condition}')
    }


def wait_for_swap(run: Run, outcome: str, version: str) -> None:
    wait_until(
        lambda: len(swaps(run, outcome, version)) == PARALLELISM,
        timeout_s=60,
        what=f"{version} {outcome} at both scorers",
    )


def assert_nothing_lost_or_failed(run: Run, behaviors: int) -> None:
    assert run.count("user_behavior", "outcome = 'applied'") == run.count("recommendation_lists") == behaviors
    assert run.count("recommendation_lists_all") == behaviors, "no row twice, in any epoch"
    assert run.count("recommendation_lists", f"fallback_reason NOT IN {LATE}") == 0
    with FlinkRest(run.cluster.rest_url) as rest:
        assert rest.exceptions(run.deployment.job_id) == []


def test_under_load_a_promoted_model_is_swapped_in_and_one_that_does_not_load_is_not(
    run_job: Deploy, models: Models, ml_100k: Dataset, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    load = Load(ml_100k, log)
    run = run_job(log, *models.settings())
    with load.running():
        wait_for_swap(run, "started", "1")
        promoted_ms = models.promote("2")
        wait_for_swap(run, "swapped", "2")
        models.promote("3")
        wait_for_swap(run, "failed", "3")
    run.wait_for_lists(load.appended)
    assert_nothing_lost_or_failed(run, load.appended)
    assert max(swaps(run, "swapped", "2").values()) - promoted_ms < SWAP_MS
    late = f"model_version <> '2' AND written_at > {promoted_ms + SWAP_MS}"
    assert run.count("recommendation_lists", late) == 0
    assert run.rows(f"SELECT DISTINCT model_version {SCORED} ORDER BY 1") == [("1",), ("2",)]
    told = status_of(run)
    assert (told.swaps, told.swap_failures) == (PARALLELISM, PARALLELISM)
    assert [(each.version, each.scorers) for each in told.models.served] == [("2", PARALLELISM)]
    assert told.models.wanted == {"default": "3"}
    assert told.models.failed is not None
    assert (told.models.failed.version, told.models.failed.problem.split(":")[0]) == ("3", "BundleCorruptError")
    logs = [file.read_text(errors="replace") for file in run.cluster.layout.logs.rglob("*") if file.is_file()]
    assert any("version 3 of" in log and "the one before is served on" in log for log in logs)


@pytest.mark.slow
def test_a_restart_serves_what_was_served_while_the_registry_names_what_does_not_load(
    run_job: Deploy, models: Models, ml_100k: Dataset, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    load = Load(ml_100k, log)
    run = run_job(log, *models.settings())
    with load.running():
        wait_for_swap(run, "started", "1")
        models.promote("3")
        wait_for_swap(run, "failed", "3")
        killed_ms = int(time.time() * 1000)
        run.cluster.kill_task_manager(0)
        wait_until(
            lambda: run.count("model_swaps", f"model_version = '1' AND written_at > {killed_ms}") >= PARALLELISM,
            timeout_s=120,
            what="the old model at both scorers again",
        )
    run.wait_for_lists(load.appended)
    assert run.count("user_behavior", "outcome = 'applied'") == run.count("recommendation_lists") == load.appended
    assert run.rows(f"SELECT DISTINCT model_version {SCORED}") == [("1",)]


@pytest.mark.slow
def test_swapping_again_and_again_loses_and_doubles_nothing(
    run_job: Deploy, models: Models, ml_100k: Dataset, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    load = Load(ml_100k, log)
    run = run_job(log, *models.settings())
    with load.running():
        wait_for_swap(run, "started", "1")
        for number in range(10):
            promoted_ms = models.promote("12"[(number + 1) % 2])
            wanted = f"outcome = 'swapped' AND written_at >= {promoted_ms}"
            wait_until(
                lambda wanted=wanted: run.count("model_swaps", wanted) == PARALLELISM,  # type: ignore[misc]
                timeout_s=30,
                what="a swap at both scorers",
            )
    run.wait_for_lists(load.appended)
    assert_nothing_lost_or_failed(run, load.appended)
    assert run.count("model_swaps", "outcome = 'swapped'") == 10 * PARALLELISM


@pytest.mark.slow
def test_two_variants_serve_each_user_one_model_and_the_report_equals_plain_loops(
    run_job: Deploy, models: Models, ml_100k: Dataset, tmp_path: Path
) -> None:
    popularity = FitConfig(recommender="popularity", cut=0.5)
    other = fit(ml_100k, tmp_path / "other", popularity, datetime.now(UTC)).bundle
    log = tmp_path / "log"
    test = {"a": {"model": "current", "weight": 3}, "b": {"bundle": str(other.path), "weight": 1}}
    run = run_job(log, *models.settings(f"models.variants={json.dumps(test)}", "models.salt=salt"))
    with LogWriter(log, PARTITIONS) as writer:
        writer.append(islice(ml_100k.behaviors(), 10_000))
    run.wait_for_lists(10_000, timeout_s=120)
    assert_nothing_lost_or_failed(run, 10_000)
    variants = Variants({"a": 3, "b": 1}, "salt")
    dealt = run.rows("SELECT DISTINCT user_id, variant FROM recommendation_lists")
    assert {variant for _, variant in dealt} == {"a", "b"}
    assert all(variants.of(str(user)) == variant for user, variant in dealt)
    served = run.rows(f"SELECT DISTINCT variant, model_hash {SCORED} ORDER BY 1")
    current = models.registry.find(NAME, "current")
    assert served == [("a", current.hash), ("b", other.hash)]

    places = ["--tables-dir", str(run.tables), "--dir", str(run.cluster.directory)]
    answer = json.loads(CliRunner().invoke(app, ["ab", "report", *places, "--json"]).output)
    by_hand = figures(run.tables, set(answer["actions"]), 10)
    assert [each["variant"] for each in answer["variants"]] == ["a", "b"]
    for each in answer["variants"]:
        users, behaviors, hits, rate, error = by_hand[each["variant"]]
        assert (each["users"], each["behaviors"], each["hits"]) == (users, behaviors, hits)
        assert each["hit_rate"] == pytest.approx(rate)
        assert each["interval"] == pytest.approx(interval(rate, error))
    assert answer["moved_users"] == 0
    assert answer["sample_ratio_p"] > 0.001

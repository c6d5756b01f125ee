"""`recloop status` tells which models are served from the table model_swaps, beside what the registry wants served."""

import sys
from pathlib import Path

import pytest

from job.commands.status_output import models_text
from job.deployment.model_status import ServedVersion, read_models
from job.settings.job_settings import JobSettings, load
from model.registry.registry import Registry
from tests.unit.model.tiny_bundle import NAME, write_tiny
from tests.unit.tables.rows import HOUR, commit

pytestmark = pytest.mark.heavy
AT = 1_700_000_000_000


def swap(scorer: int, version: str, outcome: str, second: int, *, epoch: int = 1) -> dict[str, object]:
    return {
        "scorer": scorer,
        "variant": "default",
        "model_version": version,
        "model_hash": version * 64,
        "outcome": outcome,
        "problem": "RuntimeError: planted" if outcome == "failed" else None,
        "timestamp": AT + second * 1_000,
        "written_at": AT + second * 1_000,
        "epoch": epoch,
    }


@pytest.fixture
def settings(tmp_path: Path) -> JobSettings:
    """Of a job of two scorers that follow a registry, whose current version is 2."""
    registry = Registry(tmp_path / "registry")
    for version in ("1", "2"):
        registry.register(write_tiny(tmp_path / version, version, version.encode()).path)
        registry.promote(NAME, version)
    (tmp_path / "tables").mkdir()
    places = (f"tables.folder={tmp_path / 'tables'}", f"models.url={tmp_path / 'registry'}", f"models.name={NAME}")
    return load(overrides=[*places, "flink.parallelism=2"])


def told_by(settings: JobSettings, *rows: dict[str, object]) -> str:
    commit(settings.tables.folder / "model_swaps" / HOUR, "part-a-0", rows)
    return models_text(read_models(settings))


STARTED = (swap(0, "1", "started", 0), swap(1, "1", "started", 1))


def test_what_every_scorer_serves_is_one_line(settings: JobSettings) -> None:
    swapped = (swap(0, "2", "swapped", 60), swap(1, "2", "swapped", 62))
    assert told_by(settings, *STARTED, *swapped) == "default: 2 by 2, since 2023-11-14 22:14:22 UTC"
    assert read_models(settings).served == [ServedVersion("default", "2", 2, AT + 62_000)]


def test_scorers_of_a_wider_job_before_are_left_out(settings: JobSettings) -> None:
    told = told_by(settings, swap(7, "1", "started", 0), swap(0, "2", "started", 9), swap(1, "2", "started", 9))
    assert told == "default: 2 by 2, since 2023-11-14 22:13:29 UTC"


def test_what_did_not_load_is_told_with_its_reason_until_something_loads(settings: JobSettings) -> None:
    failed = (swap(0, "2", "failed", 60), swap(1, "2", "failed", 61))
    lines = told_by(settings, *STARTED, *failed).splitlines()
    assert lines[0].startswith("default: 1 by 2")
    assert lines[1:] == [
        "default: 2 is to be served, and not every scorer has said so yet",
        "default: 2 did not load at 2023-11-14 22:14:21 UTC: RuntimeError: planted",
    ]
    mended = (swap(0, "2", "swapped", 70), swap(1, "2", "swapped", 70))
    assert "did not load" not in told_by(settings, *STARTED, *failed, *mended)


def test_a_clock_that_was_fast_once_does_not_hide_what_is_served_now(settings: JobSettings) -> None:
    fast = 7_200
    before = (swap(0, "1", "started", fast), swap(1, "1", "started", fast), swap(0, "1", "failed", fast + 1))
    now = (swap(0, "2", "started", 9, epoch=2), swap(1, "2", "started", 9, epoch=2))
    assert told_by(settings, *before, *now) == "default: 2 by 2, since 2023-11-14 22:13:29 UTC"


def test_of_a_job_that_did_nothing_yet_it_is_told_what_it_is_to_serve(settings: JobSettings) -> None:
    assert told_by(settings) == "default: 2 is to be served, and not every scorer has said so yet"


def test_a_registry_that_is_away_is_told_beside_what_is_served(settings: JobSettings, tmp_path: Path) -> None:
    (tmp_path / "registry").rename(tmp_path / "away")
    served, problem = told_by(settings, *STARTED).splitlines()
    assert served.startswith("default: 1 by 2")
    assert "has no model 'tiny'" in problem


def test_where_the_tables_are_not_seen_that_is_told() -> None:
    assert models_text(read_models(None)) == "the job's tables are not seen from here"


def test_tables_that_are_not_seen_cost_no_import_of_duckdb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("job.tables.duck", raising=False)
    monkeypatch.setitem(sys.modules, "job.tables.duck", None)  # its import fails
    assert read_models(None).problem == "the job's tables are not seen from here"

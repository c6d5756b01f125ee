"""Figures and verdicts from what parts measured."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from job.bench.big_model import BigModel
from job.bench.brokered import PeerSpeed
from job.bench.catalogues import Catalogue, Scored
from job.bench.incremental import Incremental
from job.bench.many_users import CostAt, ManyUsers
from job.bench.model_alone import ModelAlone, ModelSpeed
from job.bench.pictures import draw
from job.bench.report import goals_grid, grids, notes
from job.bench.results import Kept, Results, figures, keep, read_kept, void_reasons
from job.bench.usage import MODEL_THREAD
from job.bench.whole_job import TimedJob, WholeJob

TIMED = TimedJob(
    scorers=1,
    events_per_s=600.0,
    lists=6_000,
    fallback_share=0.0,
    cache_hit_share=0.0,
    shortcuts={},
    batch_size_mean=50.0,
    shortest_list=20,
    cpu_ms_per_event=2.0,
    cpu_s_per_1000={"TaskManager: track-users": 1.5, MODEL_THREAD: 0.5},
    rss_mb={"TaskManager": 900.0},
    checkpoints=5,
    checkpoint_ms=100.0,
    checkpoint_mb=1.0,
    sent_bytes=1_700.0,
    returned_bytes=1_100.0,
    before_s=40.0,
    compiling_before_s=20.0,
)
JOB = WholeJob((TIMED,))
MODEL = ModelAlone(45.0, (ModelSpeed(2, 1, 32, 900.0), ModelSpeed(1, 2, 64, 1_000.0)))
WANTED = (
    "job_events_per_s model_users_per_s job_over_model job_over_plain_pyflink job_over_quixstreams job_over_plain_loop"
    " freshness_idle_p50_ms freshness_half_load_p99_ms cost_ratio_million_over_thousand_users state_bytes_per_user"
    " checkpoint_stall_ms fallback_share cache_hit_share job_events_per_s_incremental incremental_over_full"
)


def test_every_promised_figure_has_its_name() -> None:
    assert set(WANTED.split()) <= figures(Results()).keys()


def test_the_job_is_compared_with_the_best_way_to_run_the_model() -> None:
    told = figures(Results(model=MODEL, job=JOB))
    assert told["model_users_per_s"] == 1_000.0
    assert told["job_over_model"] == pytest.approx(0.6)


def test_the_quickest_form_of_the_job_counts_if_the_model_was_asked_for_every_list() -> None:
    quicker = replace(TIMED, scorers=2, events_per_s=800.0)
    for second, counts in ((quicker, 800.0), (replace(quicker, fallback_share=0.01), 600.0)):
        results = Results(job=WholeJob((TIMED, second)), model=MODEL)
        told = figures(results)
        assert (told["job_events_per_s"], told["fallback_share"]) == (counts, 0)
        assert void_reasons(results) == []
        assert sum("scorer(s)" in row[-1] for grid in grids(results) for row in grid.rows) == 2


def test_what_the_cores_do_is_told_apart() -> None:
    by_part = {MODEL_THREAD: 0.5, "TaskManager: JIT compiler": 0.25, "JobManager: JIT compiler": 0.05, "rest": 1.2}
    told = figures(Results(job=WholeJob((replace(TIMED, cpu_s_per_1000=by_part),))))
    assert told["cores_used"] == pytest.approx(1.2)
    assert told["model_busy"] == pytest.approx(0.3)
    assert told["cpu_beside_model_us"] == pytest.approx(1_500)
    assert told["compiling_us"] == pytest.approx(300)


def test_peers_that_read_kafka_are_compared_with_the_job_that_reads_kafka() -> None:
    kafka = WholeJob((replace(TIMED, events_per_s=500.0),))
    told = figures(Results(job=JOB, kafka_job=kafka, quixstreams=PeerSpeed(250.0, 1_000.0)))
    assert told["job_over_quixstreams"] == 2.0
    assert told["job_over_quixstreams_batched"] == 0.5


def test_a_big_model_is_compared_with_itself_and_catalogues_have_a_row_a_model() -> None:
    exact = Scored(probes=0, cpu_us=2_000.0, recall=1.0, load_s=0.5, resident_mb=270.0)
    in_cells = replace(exact, probes=64, cpu_us=300.0, recall=0.98)
    catalogue = Catalogue(1_000_000, 256.0, 20.0, 200.0, exact, (in_cells,))
    results = Results(big_model=BigModel(100_000, MODEL, replace(TIMED, events_per_s=950.0)), catalogues=(catalogue,))
    assert figures(results)["big_job_over_model"] == 0.95
    assert figures(results)["fallback_share"] is None
    grid = next(grid for grid in grids(results) if grid.title.startswith("catalogues"))
    assert [row[:4] for row in grid.rows] == [
        ("1,000,000", "all", "2,000", "1"),
        ("1,000,000", "those of 64 cells", "300", "0.980"),
    ]
    void = Results(big_model=BigModel(100_000, MODEL, replace(TIMED, fallback_share=0.5)))
    assert void_reasons(void) == ["big_model: 50.00% of its lists were fallback lists"]


def test_steps_are_compared_with_full_passes_alone() -> None:
    both = Incremental(replace(TIMED, events_per_s=900.0), TIMED, 0.98, 80.0, 400.0)
    told = figures(Results(job=JOB, model=MODEL, incremental=both))
    assert (told["incremental_over_full"], told["full_cpu_over_step_cpu"]) == (1.5, 5.0)
    assert told["job_over_model"] == figures(Results(job=JOB, model=MODEL))["job_over_model"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"fallback_share": 0.01}, "fallback lists"),
        ({"cache_hit_share": 0.5}, "cache"),
        ({"shortest_list": 19}, "19 items"),
        ({"shortcuts": {"scoring.coalesce": "True"}}, "scoring.coalesce=True"),
    ],
)
def test_a_run_that_did_not_score_every_history_is_void(change: dict[str, object], reason: str) -> None:
    results = Results(job=WholeJob((replace(TIMED, **change),)))  # type: ignore[arg-type]
    (told,) = void_reasons(results)
    assert reason in told
    assert notes(results, {})[0].startswith("VOID")


def test_what_is_void_is_told_of_the_part_that_is() -> None:
    both = Incremental(replace(TIMED, fallback_share=0.5), TIMED, 0.98, 80.0, 400.0)
    results = Results(job=JOB, incremental=both)
    assert void_reasons(results) == ["incremental: 50.00% of its lists were fallback lists"]
    assert figures(results)["fallback_share"] == 0


def test_a_run_with_all_shortcuts_off_counts() -> None:
    results = Results(job=WholeJob((replace(TIMED, shortcuts={"scoring.cache_mb": "0", "scoring.coalesce": "False"}),)))
    assert void_reasons(results) == []


def test_a_part_can_be_run_again_beside_those_that_are_there(tmp_path: Path) -> None:
    keep(tmp_path, "model", Kept("then", "full", 1.0, MODEL))
    keep(tmp_path, "job", Kept("now", "quick", 1.0, JOB))
    results, kept = read_kept(tmp_path)
    assert results == Results(model=MODEL, job=JOB)
    told = "\n".join(notes(results, kept))
    assert "Not of one run, so ratios between them may tell of the machine: model then, job now" in told
    assert "quick" in told


def test_what_another_version_wrote_counts_as_not_there(tmp_path: Path) -> None:
    (tmp_path / "job.json").write_text('{"run": "then", "scale": "full", "seconds": 1, "result": {"speed": 3}}')
    assert read_kept(tmp_path) == (Results(), {})


def test_goals_are_shown_even_where_nothing_was_measured() -> None:
    assert {row[-1] for row in goals_grid(Results()).rows} == {"not measured"}


def test_a_verdict_about_a_million_users_says_when_it_saw_fewer() -> None:
    few = CostAt(1_000, 1.0, 900.0, 1.0, 0.0)
    for users, told in ((50_000, "reached, with 50,000 users only"), (1_000_000, "reached")):
        results = Results(users=ManyUsers(few, replace(few, users=users)))
        assert told in {row[-1] for row in goals_grid(results).rows}


def test_every_table_is_as_wide_as_its_head() -> None:
    for grid in grids(Results(model=MODEL, job=JOB, kafka_job=JOB, plain_loop=PeerSpeed(1.0, 2.0))):
        assert {len(row) for row in grid.rows} == {len(grid.columns)}


@pytest.mark.heavy
def test_pictures_are_of_what_was_measured_and_need_matplotlib(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert draw(Results(), tmp_path) == []
    assert draw(Results(model=MODEL, job=JOB), tmp_path) == [tmp_path / "speed.png", tmp_path / "cpu.png"]
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert draw(Results(model=MODEL, job=JOB), tmp_path / "none") == []

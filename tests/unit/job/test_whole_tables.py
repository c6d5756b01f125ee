"""Tables that go to a program or a file: no cell is cut and no row is folded, whatever the terminal's width."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

import job.commands
from job.bench.results import Results
from job.bench.whole_job import WholeJob
from job.cli import app
from job.cluster import TaskManagerProcess
from job.commands import bench, cluster, compress, demo, drill, kafka
from job.commands.options import console
from job.commands.status_output import status_table
from job.demo import Folders
from job.deployment.model_status import ModelStatus
from job.deployment.status import JobStatus
from job.drills.faults import FAULTS
from job.drills.verdict import Case, Verdict, judge
from model.bundles.bundle import Bundle
from model.compression.outcomes import Figures, Outcome, Report
from model.datasets.generate import Synthetic, generate
from model.evaluation.measures import Interval
from model.registry.registry import Registry
from tests.unit.bench.test_results import TIMED
from tests.unit.drills.outputs import PLANTED, good_output
from tests.unit.model.tiny_bundle import write_tiny
from tests.unit.tables.rows import HOUR, behavior, commit, made_list

pytestmark = pytest.mark.heavy
LONG = "x" * 150
"""A name that no terminal of usual width has room for."""


def run(*words: str) -> None:
    result = CliRunner().invoke(app, words, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    print(result.output, end="")


def show_bench() -> None:
    bench._show(Results(job=WholeJob((replace(TIMED, rss_mb={LONG: 1.0}),))), {})


def show_cluster() -> None:
    process = TaskManagerProcess(0, "tm-0", 1, 1, 1, LONG)
    cluster._show(cluster.Status("ready", "here", "http://localhost", None, 1, 1, [process], 0, 0))


def show_compress() -> None:
    figures = Figures(model_bytes=1, users_per_s=1.0, users_per_s_alone=1.0, hr_10=0.1, ndcg_10=0.1)
    same = Interval(0.0, 0.0, 0.0)
    outcome = Outcome(
        way=LONG,
        figures=figures,
        faster=1.0,
        faster_alone=1.0,
        hr=same,
        ndcg=same,
        ndcg_lost=0.0,
        recall=1.0,
        refused=False,
    )
    report = Report(
        bundle="b",
        hash="h",
        recommender="gru",
        dataset="d",
        protocol="p",
        targets=1,
        users=1,
        max_loss=0.01,
        before=figures,
        outcomes=(outcome,),
    )
    compress._print(report, Path("out"))


def show_data() -> None:
    record = {"user_id": "u", "action": "click", "item_id": "i"}
    lines = [json.dumps(record | {"timestamp": 1_700_000_000_000 + at}) for at in range(20)]
    Path("log.jsonl").write_text("\n".join([*lines, json.dumps(record | {"action": LONG, "timestamp": 1}), ""]))
    run("data", "prepare", "jsonl", "--path", "log.jsonl", "--name", "made", "--data-dir", ".")


def show_demo() -> None:
    lists = [made_list(1, ["b"]), made_list(2, [LONG]) | {"action": "favorite"}]
    commit(Path("demo/tables/recommendation_lists") / HOUR, "part-a-0", lists)
    demo._print_users(Folders(Path()), Bundle.load(Path("bundle")))


def show_drill() -> None:
    run("drill", "--list")
    drill._show(Verdict(judge(Case(output=good_output(), planted=PLANTED)), []), Path(LONG), 1.0)


def show_models() -> None:
    Registry(LONG).register(Path("bundle"))
    run("models", "show", "tiny", "1", "--registry", LONG)
    run("models", "list", "--registry", LONG)


def show_status() -> None:
    found = JobStatus(
        job_id="1",
        name="recloop",
        state="RUNNING",
        running_s=1.0,
        tasks="1/1",
        lists_per_s=1.0,
        freshness_p50_ms=None,
        freshness_p95_ms=None,
        scored=0,
        stepped=0,
        cached=0,
        fallbacks=0,
        fallback_reasons={},
        dead_letters=0,
        offsets_gone=0,
        restarts=1,
        last_failure=LONG,
        checkpoint_age_s=None,
        checkpoint_ms=None,
        checkpoint_bytes=None,
        checkpoints_failed=0,
        log_silent_s=0.0,
        swaps=0,
        swap_failures=0,
        models=ModelStatus([], None, {}, None),
        log_problem=None,
        partitions=[],
    )
    console.print(status_table(found, native=False))


SHOW: dict[str, tuple[Callable[[], None], str]] = {
    "ab": (lambda: run("ab", "report", "--tables-dir", "tables", "--dir", "none"), LONG),
    "bench": (show_bench, LONG),
    "cluster": (show_cluster, LONG),
    "compact": (lambda: run("compact", "tables"), r"files before .* files after .* hours merged .* leftovers"),
    "compress": (show_compress, LONG),
    "data": (show_data, LONG),
    "demo": (show_demo, LONG),
    "drill": (show_drill, re.escape(max((each.doc for each in FAULTS.values()), key=len))),
    "evaluate": (lambda: run("evaluate", f"./{LONG}", "--recommender", "popularity"), "HR@10 .* coverage .* novelty"),
    "kafka": (lambda: kafka._show(["topic", "partitions"], [{"topic": LONG, "partitions": 1}], as_json=False), LONG),
    "lists": (lambda: run("lists", "u1", "--tables-dir", "tables"), LONG),
    "models": (show_models, "hash .* [0-9a-f]{64}"),
    "sql": (lambda: run("sql", "select * from user_behavior", "--tables-dir", "tables"), LONG),
    "status_output": (show_status, LONG),
    "tables_output": (lambda: run("sql", "select item_id from user_behavior", "--tables-dir", "tables"), LONG),
    "train": (
        lambda: run("train", f"./{LONG}", "--recommender", "popularity", "--out", "b"),
        "users .* targets .* HR@10",
    ),
}
"""Each module that makes tables: a call that prints one, and what is in one line of it."""


@pytest.fixture
def _there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    generate(Synthetic(users=9, items=20, behaviors=200, tastes=3), tmp_path / LONG, LONG)
    write_tiny(tmp_path / "bundle", "1")
    commit(tmp_path / "tables" / "user_behavior" / HOUR, "part-a-0", [behavior(0, item=LONG)])
    lists = [made_list(1, [LONG]) | {"variant": LONG}, made_list(1, ["b"], user="u2") | {"variant": "other"}]
    commit(tmp_path / "tables" / "recommendation_lists" / HOUR, "part-a-0", lists)


def test_every_module_that_makes_tables_is_tried_or_prints_by_a_screen() -> None:
    files = {file.stem: file.read_text() for file in Path(job.commands.__path__[0]).glob("*.py")}
    makers = {name for name, text in files.items() if "from rich.table import" in text}
    assert makers >= SHOW.keys()
    for name in makers - SHOW.keys():
        assert "Console(" not in files[name], name
        assert re.search(r"Screen\(|\bconsole\.print\(|screen: Screen", files[name]), name


@pytest.mark.usefixtures("_there")
@pytest.mark.parametrize("module", SHOW)
def test_tables_that_are_piped_are_whole(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("FORCE_COLOR", "1")
    show, wanted = SHOW[module]
    show()
    captured = capsys.readouterr()
    told = re.sub(r"\x1b\[[0-9;]*m", "", captured.out + captured.err)
    assert "…" not in told
    assert any(re.search(wanted, line) for line in told.splitlines()), told

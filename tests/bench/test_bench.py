"""`recloop bench` for real, at its smallest: what it says, and that nothing of it is left."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from job.cluster.layout import Layout
from job.cluster.processes import marked
from job.kafka.artifacts import VERSION, has_maven
from tests.job.waiting import wait_until
from tests.kafka.fixtures import CACHE

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(900)]
_COMMAND = (sys.executable, "-m", "job.cli", "bench", "--size", "smallest")


def measured(out: Path, *parts: str) -> dict[str, Any]:
    """All figures after a run of these parts."""
    only = [option for part in parts for option in ("--only", part)]
    file = out / "figures.json"
    done = subprocess.run([*_COMMAND, "--out", str(out), "--json", str(file), *only], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert running_in(out) == []
    figures: dict[str, Any] = json.loads(file.read_text())
    return figures


def running_in(out: Path) -> list[int]:
    """Processes of clusters in this folder, and all that name it on their command line."""
    clusters = [process.pid for path in out.glob("work/*/cluster") for process in marked(Layout(path))]
    named = [process.pid for process in psutil.process_iter(["cmdline"]) if _names(process, str(out))]
    return clusters + named


def _names(process: psutil.Process, folder: str) -> bool:
    return any(folder in part for part in process.info["cmdline"] or ())


def test_model_job_plain_pyflink_and_state(tmp_path: Path) -> None:
    out = tmp_path / "bench"
    told = measured(out, "model", "job", "plain_pyflink", "state")
    assert told["void"] == []
    assert (told["fallback_share"], told["cache_hit_share"], told["one_run"]) == (0, 0, True)
    assert 0 < told["job_over_model"] < 1.5
    assert told["job_over_plain_pyflink"] > 1
    assert 200 < told["state_bytes_per_user"] < 3_000
    assert (out / "speed.png").is_file()
    assert "| the job over the model alone |" in (out / "report.md").read_text()


def test_freshness_and_users(tmp_path: Path) -> None:
    told = measured(tmp_path / "bench", "job", "freshness", "users")
    assert 0 < told["freshness_idle_p50_ms"] <= told["freshness_idle_p99_ms"]
    assert told["freshness_half_load_p99_ms"] > 0
    assert told["cost_ratio_million_over_thousand_users"] > 0


def test_a_gru_by_steps_and_in_full(tmp_path: Path) -> None:
    told = measured(tmp_path / "bench", "incremental")
    assert told["void"] == []
    assert told["stepped_share"] > 0.8
    assert told["full_cpu_over_step_cpu"] > 1.5
    assert told["job_events_per_s_incremental"] > 0
    assert told["incremental_over_full"] > 0.8


@pytest.mark.skipif(not has_maven() and not (CACHE / f"kafka-{VERSION}").is_dir(), reason="needs a Maven client")
def test_peers_and_the_job_that_read_kafka(tmp_path: Path) -> None:
    told = measured(tmp_path / "bench", "kafka_job", "quixstreams", "plain_loop")
    for peer in ("quixstreams", "plain_loop"):
        assert told[f"{peer}_events_per_s"] > 0
        assert told[f"{peer}_batched_events_per_s"] > 0
        assert told[f"job_over_{peer}"] > 0


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_bench_that_is_broken_off_leaves_no_process(tmp_path: Path, how: signal.Signals) -> None:
    out = tmp_path / "bench"
    process = subprocess.Popen([*_COMMAND, "--out", str(out), "--only", "job"], stdout=subprocess.DEVNULL)
    try:
        cluster = Layout(out / "work" / "job" / "cluster")
        wait_until(lambda: len(marked(cluster)) > 1, timeout_s=120, what="a cluster")
        process.send_signal(how)
        assert process.wait(60) == 130
    finally:
        process.kill()
    assert running_in(out) == []


def test_serving(tmp_path: Path) -> None:
    told = measured(tmp_path / "bench", "serving")
    assert told["read_p99_ms_at_500_a_second"] > 0
    assert 0 < told["reads_over_bare_asgi"] < 1.2
    assert 0 < told["own_write_read_p50_ms"] <= told["own_write_read_p99_ms"]
    assert "| recloop serve at its limit |" in (tmp_path / "bench" / "report.md").read_text()

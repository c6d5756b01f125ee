"""Prometheus beside a job whose model hangs for a while: what the dashboard and the rules name is there, and moves.

One story for all tests: behaviours of all kinds come, the model hangs until Flink restores the job, and answers again.
"""

import json
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import httpx
import pytest

from job.cluster import ClusterSpec, FlinkRest
from job.cluster.config import LOOPBACK
from job.cluster.ports import with_ports
from job.deployment.shipping import PROJECT
from job.replay.log_writer import LogWriter
from job.trial import trial_cluster
from job.watching.alerts import ALERTS
from job.watching.dashboard import expressions
from job.watching.flink_series import FlinkSeries
from model.records import UserBehavior
from tests.job.faulty_model import ITEMS
from tests.job.fixtures import jobs_on
from tests.job.hanging_model import Gate, write_hanging_bundle
from tests.job.waiting import wait_until
from tests.watching.programs import programs
from udfs.flink.metrics import Metric

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(900)]
STALE = "RecloopListsStale"
EVERY_S = 0.25
STILL = {
    Metric.OFFSETS_GONE: "an embedded log removes nothing",
    Metric.LOG_SILENT_MS: "files answer at once",
    Metric.HISTORIES_STEPPED: "this model has no step",
    Metric.LISTS_SWEPT: "nothing is withdrawn",
    Metric.SWAPS: "the model comes from no registry",
    Metric.SWAP_FAILURES: "the same",
    Metric.COLLECTIONS: "a full collection comes after minutes, if at all",
    Metric.COLLECTION_MS: "the same",
    FlinkSeries.CHECKPOINTS_FAILED: "no checkpoint has to fail",
    FlinkSeries.TASK_MANAGERS: "none is lost",
    FlinkSeries.HEAP_MAX: "a setting",
}
"""The series that stay as they are in this story."""


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus that reads the cluster's metrics every second."""

    http: httpx.Client

    def query(self, expression: str) -> list[dict[str, Any]]:
        answer = self.http.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", (expression, answer)
        return list(answer["data"]["result"])

    def firing(self) -> set[str]:
        alerts = self.http.get("/api/v1/alerts").json()["data"]["alerts"]
        return {str(alert["labels"]["alertname"]) for alert in alerts if alert["state"] == "firing"}


@dataclass(frozen=True)
class Story:
    """What Prometheus saw, from a healthy job over a model that hangs to a healthy job."""

    prometheus: Prometheus
    before: set[str]
    restarts: int
    logs: Path


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    folder = tmp_path_factory.mktemp("watched")
    programs()
    with trial_cluster(ClusterSpec(folder / "cluster", json_logs=True), timeout_s=120) as cluster:
        gate = Gate(folder / "gate")
        bundle = write_hanging_bundle(folder / "hanging", gate)
        settings = ("scoring.score_cache_mb=16", "lists.trend_weight=0", "log.max_poll_records=1")
        with (
            jobs_on(cluster, bundle, folder) as run_job,
            reading(str(cluster.metrics_url), folder) as prometheus,
            LogWriter(folder / "log") as log,
        ):
            run = run_job(folder / "log", *settings)
            with feeding(log), FlinkRest(cluster.rest_url) as rest:
                wait_until(lambda: _fresh(prometheus), timeout_s=120, what="fresh lists")
                before = prometheus.firing()
                gate.shut()
                try:
                    restored = rest.checkpoints
                    wait_until(
                        lambda: restored(run.deployment.job_id).restored > 0, timeout_s=180, what="a restored job"
                    )
                    wait_until(lambda: STALE in prometheus.firing(), timeout_s=180, what=f"{STALE} fires")
                finally:
                    gate.open()
                    gate.close()
                wait_until(lambda: STALE not in prometheus.firing(), timeout_s=240, what=f"{STALE} resolves")
                restarts = restored(run.deployment.job_id).restored
            wait_until(lambda: _burst(log, prometheus), timeout_s=120, what="a lag behind the log")
            yield Story(prometheus, before, restarts, cluster.layout.logs)


def _fresh(prometheus: Prometheus) -> bool:
    """Whether for a whole minute nearly all lists have been fresh, so that no alert is left of the start."""
    ages = prometheus.query(f"min(count_over_time({Metric.FRESHNESS_MS.series}[2m]))")
    return bool(ages) and float(ages[0]["value"][1]) > 60 and STALE not in prometheus.firing()


def _burst(log: LogWriter, prometheus: Prometheus) -> bool:
    """Append more than is read at once, a record a poll; return whether the lag was seen."""
    now_ms = int(time.time() * 1000)
    log.append(UserBehavior(f"u{number}", "click", ITEMS[number % len(ITEMS)], now_ms) for number in range(300))
    return bool(prometheus.query(f"sum(changes({Metric.LOG_LAG_MS.series}[15m])) > 0"))


@contextmanager
def reading(url: str, folder: Path) -> Iterator[Prometheus]:
    """Runs Prometheus with the rules; what it needs is in the folder."""
    port = with_ports(ClusterSpec(folder), {}).rest_port
    target = url.removeprefix("http://").removesuffix("/metrics")
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        f"rule_files: ['{PROJECT / 'docker/prometheus/alerts.yml'}']\n"
        f"scrape_configs: [{{job_name: recloop, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    options = {
        "--config.file": folder / "prometheus.yml",
        "--storage.tsdb.path": folder / "series",
        "--web.listen-address": f"{LOOPBACK}:{port}",
    }
    words = [f"{name}={value}" for name, value in options.items()]
    with (folder / "prometheus.out").open("wb") as out:
        process = subprocess.Popen([programs().prometheus, *words], stdout=out, stderr=out)
    try:
        with httpx.Client(base_url=f"http://{LOOPBACK}:{port}", timeout=30) as http:
            wait_until(lambda: _is_ready(http), timeout_s=60, what="Prometheus")
            yield Prometheus(http)
    finally:
        process.terminate()
        process.wait(30)


def _is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/-/ready").is_success
    except httpx.TransportError:
        return False


@contextmanager
def feeding(log: LogWriter) -> Iterator[None]:
    """Appends a few behaviours again and again: a new one, the same once more, and one of no action that there is.

    A little later comes one that changes nothing that a model is asked: the return of what nobody bought.
    """
    ended = Event()

    def feed() -> None:
        number = 0
        while not ended.wait(EVERY_S):
            number += 1
            user, now_ms = f"u{number % 5}", int(time.time() * 1000)
            click = UserBehavior(user, "click", ITEMS[number % len(ITEMS)], now_ms, event_id=f"event-{number}")
            log.append([click, click, UserBehavior(user, "gaze", ITEMS[0], now_ms)])
            ended.wait(EVERY_S)
            log.append([UserBehavior(user, "return", ITEMS[0], now_ms)])

    thread = Thread(target=feed)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_the_freshness_alert_fires_when_the_model_hangs_and_resolves(story: Story) -> None:
    assert STALE not in story.before
    assert story.restarts >= 1
    assert story.prometheus.query(f'max_over_time(ALERTS{{alertname="{STALE}", alertstate="firing"}}[15m])')
    assert STALE not in story.prometheus.firing()


def test_fallback_lists_of_a_model_that_hangs_are_reported(story: Story) -> None:
    fired = story.prometheus.query('max_over_time(ALERTS{alertname="RecloopListsWithoutScores"}[15m])')
    assert fired


@pytest.mark.parametrize("name", sorted({*(metric.series for metric in Metric), *FlinkSeries}))
def test_every_series_is_there_and_moves(story: Story, name: str) -> None:
    assert story.prometheus.query(f"max_over_time({name}[15m])"), "it is not there"
    still = {metric.series if isinstance(metric, Metric) else metric.value for metric in STILL}
    assert name in still or story.prometheus.query(f"sum(changes({name}[15m])) > 0"), "it stays as it is"


@pytest.mark.parametrize("expression", list(expressions()))
def test_every_line_of_the_dashboard_has_a_series(story: Story, expression: str) -> None:
    assert story.prometheus.query(expression.replace("$job", ".*"))


def test_every_rule_is_evaluated_without_an_error(story: Story) -> None:
    (group,) = story.prometheus.http.get("/api/v1/rules").json()["data"]["groups"]
    assert {rule["name"]: rule["health"] for rule in group["rules"]} == {alert.name: "ok" for alert in ALERTS}
    assert not any(re.search(r"\berr", str(rule.get("lastError", ""))) for rule in group["rules"])


def test_every_line_of_the_json_logs_is_an_event_also_with_a_stack_trace(story: Story) -> None:
    files = {file.name: file.read_text().splitlines() for file in story.logs.glob("*.jsonl")}
    assert {"jobmanager.log.jsonl", "taskmanager-0.log.jsonl"} == files.keys()
    events = [json.loads(line) for lines in files.values() for line in lines]
    assert {frozenset(event) for event in events} == {
        frozenset(("time", "level", "logger", "thread", "message", "error"))
    }
    assert any(event["level"] == "INFO" and not event["error"] for event in events)
    assert any(event["error"].count("\n\tat ") > 1 for event in events)

"""`recloop learn` beside a job on a real cluster: what it promotes is served without a stop, a bad candidate is not."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from job.cluster import FlinkRest, RunningCluster
from job.deployment.shipping import PROJECT
from job.settings.job_settings import JobSettings
from job.tables import duck
from job.trial import end_job, launch
from model.registry.registry import Registry
from tests.job.waiting import wait_until
from tests.unit.learning.drifting import NAME, PHASE, append, phase, serve_first, settings

pytestmark = [pytest.mark.cluster, pytest.mark.heavy, pytest.mark.slow]


def words(folder: Path, job: JobSettings, **other: object) -> list[str]:
    """The command with the job's settings in a file, as one has them."""
    file = folder / "job.toml"
    learn: dict[str, object] = {
        "behaviors": 200,
        "held_out": 200,
        "worse_by": 0,
        "slower_by": 1000,
        "folder": str(job.learn.folder),
    } | other
    tables: dict[str, dict[str, object]] = {
        "log": {"folder": str(job.log.folder)},
        "models": {"url": str(job.models.url), "name": NAME, "cache": str(job.models.cache)},
        "tables": {"folder": str(job.tables.folder)},
        "learn": learn,
    }
    text = ""
    for group, values in tables.items():
        text += f"[{group}]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
    file.write_text(text)
    return [sys.executable, "-m", "job.cli", "learn", "-s", str(file)]


@contextmanager
def beside(command: list[str]) -> Iterator["subprocess.Popen[str]"]:
    """A command while the block runs, ended as a supervisor ends it."""
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=120)
            print(out, err)


def test_lists_carry_what_was_learned_and_a_bad_candidate_is_refused(cluster: RunningCluster, tmp_path: Path) -> None:
    serve_first(tmp_path)
    job = settings(tmp_path, "flink.parallelism=1")
    registry = Registry(str(job.models.url))
    deployed = launch(cluster, job)

    def lists(condition: str) -> int:
        sql = f"SELECT count(*) FROM recommendation_lists WHERE {condition}"
        return int(str(duck.query(job.tables.folder, sql).rows[0][0]))

    def decided(number: int) -> dict[str, object]:
        sql = f"SELECT * FROM model_updates WHERE decision_number = {number}"
        wait_until(lambda: duck.query(job.tables.folder, sql).rows, timeout_s=240, what=f"decision {number}")
        return duck.query(job.tables.folder, sql).records()[0]

    with FlinkRest(cluster.rest_url) as rest:
        try:
            wait_until(
                lambda: lists("model_version = 'first'") == PHASE, timeout_s=240, what="lists of the first model"
            )
            with beside([*words(tmp_path, job), "--poll", "0.2"]) as process:
                append(tmp_path, phase(1, ring=True))
                promoted = decided(1)
                assert promoted["decision"] == "promoted", promoted
                version = promoted["model_version"]
                wait_until(lambda: registry.pointers(NAME).revision == 2, timeout_s=60, what="the pointer")

                def served() -> bool:
                    append(tmp_path, phase(2, ring=True)[served_so_far[0] : served_so_far[0] + 4])
                    served_so_far[0] += 4
                    return lists(f"model_version = '{version}'") > 0

                served_so_far = [0]
                wait_until(served, timeout_s=120, what=f"lists of {version}")
                assert process.poll() is None
            assert process.returncode == 130
            append(tmp_path, [*phase(3, ring=False), *phase(4, ring=True)[:200]])
            window_s = 60 * (PHASE + 100)
            bad = words(tmp_path, job, window=f"PT{window_s}S", worse_by=0.2, behaviors=500)
            ended = subprocess.run(
                [*bad, "--once"], cwd=PROJECT, capture_output=True, text=True, timeout=300, check=True
            )
            refused = decided(2)
            assert refused["decision"] == "refused", refused
            assert f"{refused['model_version']} is refused: not surely within" in ended.stdout
            current = registry.pointers(NAME).current
            assert current is not None
            assert current.id == version
            wait_until(
                lambda: lists("true") >= 2 * PHASE + served_so_far[0] + PHASE + 200, timeout_s=240, what="all lists"
            )
            assert lists(f"model_version = '{refused['model_version']}'") == 0
            assert lists(f"model_version = '{version}'") >= PHASE
            assert rest.exceptions(deployed.job_id) == []
        finally:
            end_job(rest, deployed.job_id)

"""A model that raises or is late: counted, written on the rows, and survived by a real job."""

import json
from pathlib import Path

import pytest

from job.cluster import FlinkRest
from job.deployment.status import fresh_counts
from job.replay.log_writer import LogWriter
from model.records import UserBehavior
from tests.job.faulty_model import HANGS_AFTER, ITEMS, RAISES_AFTER, write_faulty_bundle
from tests.job.fixtures import Deploy
from udfs.flink.metrics import Metric

pytestmark = pytest.mark.cluster

SOUND = ITEMS[2:40]


def test_behaviors_the_model_fails_on_get_a_list_by_the_rules(run_job: Deploy, tmp_path: Path) -> None:
    bundle = write_faulty_bundle(tmp_path / "faulty")
    log = tmp_path / "log"
    run = run_job(log, f"scoring.bundle={json.dumps(str(bundle.path))}")
    offsets = 0
    with LogWriter(log) as writer:
        for last in (SOUND[0], RAISES_AFTER, SOUND[1], HANGS_AFTER):
            writer.append([UserBehavior("user", "click", last, 1_000 + offsets)])
            offsets += 1
            run.wait_for_offsets(offsets, timeout_s=60)
        while run.count("recommendation_lists", "user_seq > 4 AND source = 'scored'") == 0:
            assert offsets < 30, "the model's thread came back"
            writer.append([UserBehavior("user", "click", SOUND[offsets], 1_000 + offsets)])
            offsets += 1
            run.wait_for_offsets(offsets, timeout_s=60)
    rows = run.rows(
        """SELECT item_id, source, fallback_reason, len(items) FROM recommendation_lists
        WHERE user_seq <= 4 ORDER BY user_seq"""
    )
    assert rows == [
        (SOUND[0], "scored", None, 10),
        (RAISES_AFTER, "fallback", "model_error", 10),
        (SOUND[1], "scored", None, 10),
        (HANGS_AFTER, "fallback", "deadline", 10),
    ]
    with FlinkRest(run.cluster.rest_url) as rest:
        assert rest.exceptions(run.deployment.job_id) == []
        counts = fresh_counts(rest, run.deployment.job_id)
    assert counts.total(Metric.FALLBACKS) == run.count("recommendation_lists", "source = 'fallback'") >= 2
    assert counts.total(Metric.HISTORIES_SCORED) == run.count("recommendation_lists", "source = 'scored'") >= 3

"""A log whose file lost what was read of it: the job fails, and says which file."""

from pathlib import Path

import pytest

from job.cluster import FlinkRest
from job.replay.log_writer import LogWriter
from model.records import UserBehavior
from tests.job.fixtures import Deploy
from tests.job.waiting import wait_until
from udfs.hashing import stable_hash
from udfs.log.file_log import partition_file

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_a_truncated_file_fails_the_job_with_its_name(run_job: Deploy, tmp_path: Path) -> None:
    log = tmp_path / "log"
    run = run_job(log, "lists.policy=history", "scoring.bundle=null")
    with LogWriter(log) as writer:
        writer.append([UserBehavior("user", "click", "item", 1_000 + n) for n in range(10)])
        file = partition_file(log, stable_hash("user") % writer.partitions)
    run.wait_for_offsets(10, timeout_s=60)

    with file.open("r+b") as shortened:
        shortened.truncate(5)

    with FlinkRest(run.cluster.rest_url) as rest:
        wait_until(lambda: bool(rest.exceptions(run.deployment.job_id)), timeout_s=60, what="a failure")
        cause = rest.exceptions(run.deployment.job_id)[0].root_cause
    assert cause.startswith("LogTruncatedError: ")
    assert str(file) in cause

"""`recloop doctor` beside a real cluster, which has no fault, and one of too few slots."""

import json
from collections.abc import Mapping

import pytest
from typer.testing import CliRunner

from job.cli import app
from job.cluster import RunningCluster
from job.doctor.examine import CLUSTER_CHECKS

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def examined(*words: str) -> Mapping[str, list[dict[str, str]]]:
    """The findings of the cluster's checks, by check."""
    told = json.loads(CliRunner().invoke(app, ["doctor", "--json", *words]).stdout)
    return {name: [each for each in told if each["check"] == name] for name in CLUSTER_CHECKS}


@pytest.mark.parametrize("elsewhere", [False, True])
def test_a_cluster_of_ours_has_no_fault(cluster: RunningCluster, elsewhere: bool) -> None:
    named = ["--jobmanager", cluster.rest_url] if elsewhere else ["--cluster", "--dir", str(cluster.directory)]
    found = examined(*named)
    assert {each["verdict"] for findings in found.values() for each in findings} == {"ok"}, found
    assert len(found["task managers"]) == 2


def test_a_cluster_of_too_few_slots_is_named(cluster: RunningCluster) -> None:
    (found,) = examined("--cluster", "--dir", str(cluster.directory), "--set", "flink.parallelism=3")["slots"]
    assert (found["verdict"], "recloop cluster start -n 3" in found["mend"]) == ("fault", True)

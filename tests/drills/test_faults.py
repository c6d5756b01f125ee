"""One fault of each family for real; `recloop drill --all` injects all of them."""

from pathlib import Path

import pytest

from job.drills.brokers import why_no_broker
from job.drills.drill import run_drill
from job.drills.faults import FAULTS
from job.drills.report import complaints

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(1_800)]

NAMES = ("freeze-task-manager", "corrupt-checkpoint", "model-raises", "checkpoint-folder-gone", "kill-leader")
OF_THE_MACHINE = (
    "kill-committing",
    "zookeeper-gone",
    "checkpoint-disk-full",
    "cut-job-manager",
    "clock-back",
)
OVER_KAFKA = ("kill-broker", "transaction-aborted")


@pytest.mark.parametrize("names", [NAMES, OF_THE_MACHINE], ids=["of the job", "of the machine"])
def test_a_job_comes_back_from_a_fault_of_each_family(names: tuple[str, ...], tmp_path: Path) -> None:
    verdict = run_drill([FAULTS[name] for name in names], tmp_path / "drill", lambda _: None)
    assert verdict.ok, [line for run in (verdict.control, *verdict.faults) for line in complaints(run)]
    assert sorted(fault.name for fault in verdict.faults) == sorted(names)


def test_a_job_over_kafka_comes_back(tmp_path: Path) -> None:
    if why := why_no_broker():
        pytest.skip(why)
    verdict = run_drill([FAULTS[name] for name in OVER_KAFKA], tmp_path / "drill", lambda _: None)
    assert verdict.ok, [line for run in (verdict.control, *verdict.faults) for line in complaints(run)]
    assert [fault.findings["I8"].holds for fault in verdict.faults] == [True] * len(OVER_KAFKA)

"""What savepoints hold on to: every operator's uid, and the parallelism it is fixed to.

An operator whose uid or max parallelism changes loses its state: that needs a line in the CHANGELOG, and then
`pytest tests/contract/test_topology.py --snapshot-update`.
"""

from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from job.settings.job_settings import JobSettings, load
from job.settings.planned_job import JobPlan, Slot, Slots

PLAN = JobPlan()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # what PyFlink imports warns of itself
def test_names_uids_and_parallelisms_are_frozen(flink: Any, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    assert "\n".join(sorted(map(told, operators(settings_in(tmp_path))))) == snapshot


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_publishing_adds_its_operators_and_changes_no_other(flink: Any, tmp_path: Path) -> None:
    topics = ("kafka.brokers=host:9092", "publish.lists_topic=lists", "publish.dead_letters_topic=letters")
    without, with_them = (own_operators(settings_in(tmp_path, *overrides)) for overrides in ((), topics))
    assert without ^ with_them == {
        "publish-lists | publish-lists | parallelism 2 of 32",
        "publish-dead-letters | publish-dead-letters | parallelism 2 of 32",
    }


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_lists_in_files_add_their_operator_and_change_no_other(flink: Any, tmp_path: Path) -> None:
    without, with_it = (
        own_operators(settings_in(tmp_path, *given)) for given in ((), (f"publish.lists_folder={tmp_path}/lists",))
    )
    assert without ^ with_it == {"append-lists | append-lists | parallelism 2 of 32"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_scoring_apart_is_alone_in_its_group_and_changes_no_operator(flink: Any, tmp_path: Path) -> None:
    apart = settings_in(tmp_path, "placement.scoring=gpu", "scoring.device=cuda")
    slot = Slot(cpu_cores=1.0, task_heap_mb=400)
    plan = JobPlan(slots=Slots(gpu=slot, state=slot))
    assert own_operators(apart, plan) == own_operators(settings_in(tmp_path))
    groups = {node.getOperatorName(): node.getSlotSharingGroup() for node in operators(apart, plan)}
    assert {name for name, group in groups.items() if group == "scoring"} == {"score-candidates"}
    assert set(groups.values()) == {"scoring", "default"}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_more_scorers_change_no_other_operator(flink: Any, tmp_path: Path) -> None:
    as_it_is, more = (own_operators(settings_in(tmp_path, *given)) for given in ((), ("scoring.parallelism=4",)))
    assert more - as_it_is == {"score-candidates | score-candidates | parallelism 4 of 32"}
    assert len(more) == len(as_it_is)


def own_operators(settings: JobSettings, plan: JobPlan = PLAN) -> set[str]:
    """Without those of the table that ticks: the planner numbers them on, from job to job of a JVM."""
    return {line for line in map(told, operators(settings, plan)) if not line[0].isdigit()}


def settings_in(folder: Path, *overrides: str) -> JobSettings:
    fixed = (f"scoring.bundle={folder}", f"tables.folder={folder}", "flink.parallelism=2")
    return load(overrides=[*fixed, *overrides]).resolved()


def operators(settings: JobSettings, plan: JobPlan = PLAN) -> Any:
    """Flink's own nodes of the job, as they are submitted."""
    from job.main import environment
    from job.pipeline import build

    env = environment(settings)
    build(env, settings, plan)
    return env._generate_stream_graph(True).getStreamNodes().toArray()


def told(node: Any) -> str:
    """One line per operator."""
    parallelisms = f"parallelism {node.getParallelism()} of {node.getMaxParallelism()}"
    return f"{node.getTransformationUID()} | {node.getOperatorName()} | {parallelisms}"

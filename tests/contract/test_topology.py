"""What savepoints hold on to: every operator's uid, and the parallelism it is fixed to.

An operator whose uid or max parallelism changes loses its state: that needs a line in the CHANGELOG, and then
`pytest tests/contract/test_topology.py --snapshot-update`.
"""

from pathlib import Path
from typing import Any

import pytest
from syrupy.assertion import SnapshotAssertion

from job.settings import JobSettings, load


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # what PyFlink imports warns of itself
def test_names_uids_and_parallelisms_are_frozen(flink: Any, tmp_path: Path, snapshot: SnapshotAssertion) -> None:
    settings = load(overrides=[f"scoring.bundle={tmp_path}", f"tables.folder={tmp_path}", "flink.parallelism=2"])
    assert "\n".join(sorted(map(told, operators(settings.resolved())))) == snapshot


def operators(settings: JobSettings) -> Any:
    """Flink's own nodes of the job, as they are submitted."""
    from job.main import environment
    from job.pipeline import build

    env = environment(settings)
    build(env, settings)
    return env._generate_stream_graph(True).getStreamNodes().toArray()


def told(node: Any) -> str:
    """One line an operator."""
    parallelisms = f"parallelism {node.getParallelism()} of {node.getMaxParallelism()}"
    return f"{node.getTransformationUID()} | {node.getOperatorName()} | {parallelisms}"

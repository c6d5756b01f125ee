"""What savepoints hold on to: every operator's uid, and the parallelism it is fixed to.

An operator whose uid or max parallelism changes loses its state. A change here needs a line in the CHANGELOG.
"""

from pathlib import Path
from typing import Any

import pytest

from job.settings import JobSettings, load

TOPOLOGY = Path(__file__).parent / "fixtures" / "topology.txt"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_uids_and_parallelisms_are_frozen(flink: Any, tmp_path: Path) -> None:
    settings = load(overrides=[f"scoring.bundle={tmp_path}", f"tables.folder={tmp_path}", "flink.parallelism=2"])
    assert "\n".join(sorted(map(told, operators(settings.resolved())))) == TOPOLOGY.read_text().rstrip()


def operators(settings: JobSettings) -> Any:
    # Imported here: what PyFlink imports warns of itself.
    from job.main import environment
    from job.pipeline import build

    env = environment(settings)
    build(env, settings)
    return env._generate_stream_graph(True).getStreamNodes().toArray()


def told(node: Any) -> str:
    """One line an operator."""
    parallelisms = f"parallelism {node.getParallelism()} of {node.getMaxParallelism()}"
    return f"{node.getTransformationUID()} | {node.getOperatorName()} | {parallelisms}"

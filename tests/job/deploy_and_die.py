"""A deployment that kills itself with -9: `python -m tests.job.deploy_and_die CLUSTER STEP SETTING...`."""

import os
import signal
import sys
from pathlib import Path

from job.cluster import find
from job.deployment.deploy import DeployRequest, Target, deploy
from job.settings.job_settings import load


def main(directory: Path, last_step: str, overrides: list[str]) -> None:
    """Deploys until the step is done."""

    def die(step: str) -> None:
        if step == last_step:
            os.kill(os.getpid(), signal.SIGKILL)

    cluster = find(directory)
    assert cluster is not None
    deploy(DeployRequest(target=Target.local(cluster), settings=load(overrides=overrides), on_step=die))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])

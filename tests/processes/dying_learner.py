"""A learner that kills itself after a step: `python -m tests.processes.dying_learner FOLDER STEP`."""

import os
import signal
import sys
from pathlib import Path

from job.learning.learner import Learner, Step
from tests.unit.learning.drifting import settings


def main(folder: Path, last: Step) -> None:
    """Decide all that is due, up to the step."""

    def die(step: Step) -> None:
        if step is last:
            os.kill(os.getpid(), signal.SIGKILL)

    learner = Learner(settings(folder), on_step=die)
    with learner.folder.locked():
        while learner.step() is not None:
            pass


if __name__ == "__main__":
    main(Path(sys.argv[1]), Step(sys.argv[2]))

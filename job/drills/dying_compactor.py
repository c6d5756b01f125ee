"""A compactor that kills itself after a step: `python -m job.drills.dying_compactor TABLES STEP`."""

import os
import signal
import sys
import time
from pathlib import Path

from job.tables.compaction import Compactor, Policy
from job.tables.journal import Step


def main(tables: Path, last: Step) -> None:
    """Merge whatever is there until the step is done."""

    def die(step: Step) -> None:
        if step is last:
            os.kill(os.getpid(), signal.SIGKILL)

    Compactor(tables, Policy(max_small_files=1), die).run_once(int(time.time() * 1000))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Step(sys.argv[2]))

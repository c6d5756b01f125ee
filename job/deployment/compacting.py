"""The compactor of a local deployment's tables, which runs beside the cluster as long as that does."""

import hashlib
import sys
from pathlib import Path

from job.cluster import RunningCluster

_EVERY_S = 30


def keep_compacted(cluster: RunningCluster, tables: Path) -> None:
    """Let the cluster's supervisor run `recloop compact --watch` over the tables, once for each folder."""
    tables.mkdir(parents=True, exist_ok=True)
    folder = str(tables.absolute())
    name = f"compact-{hashlib.sha256(folder.encode()).hexdigest()[:8]}"
    command = [sys.executable, "-m", "job.cli", "compact", folder, "--watch", "--every", f"{_EVERY_S}s"]
    cluster.supervise(name, command)

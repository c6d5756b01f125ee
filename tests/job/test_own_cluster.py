"""A cluster that Flink's own scripts started: refused as unpacked, with the mend; with it, deployed to twice."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.job.own_cluster import own_cluster

pytestmark = [pytest.mark.cluster, pytest.mark.slow]

RECLOOP = Path(sys.executable).parent / "recloop"
SYSTEM = "/usr/bin:/bin"


def deploy(url: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """`recloop deploy` without an activated environment."""
    return subprocess.run(
        [str(RECLOOP), "deploy", "--set", "lists.policy=history", "--jobmanager", url, "--wait", "120"],
        env={"PATH": SYSTEM, "HOME": str(folder)},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_flink_as_unpacked_is_refused_with_the_mend(tmp_path: Path) -> None:
    with own_cluster(tmp_path / "flink", {}, SYSTEM, flink_python=False) as url:
        refused = deploy(url, tmp_path)

    assert refused.returncode == 1
    for word in ("flink-python", "opt/", "classloader.parent-first-patterns.additional: pemja", "first on", "PATH"):
        assert word in refused.stderr
    assert "Traceback" not in refused.stderr


def test_with_the_mends_one_deployment_follows_another(tmp_path: Path) -> None:
    path = f"{RECLOOP.parent}{os.pathsep}{SYSTEM}"
    mended = {"classloader.parent-first-patterns.additional": "pemja"}
    with own_cluster(tmp_path / "flink", mended, path, flink_python=True) as url:
        first, second = deploy(url, tmp_path), deploy(f"{url}/", tmp_path)

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert "went on from" in second.stderr

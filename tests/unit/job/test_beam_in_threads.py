"""The job's code has operators in thread mode run without Apache Beam, and workers with the installed one."""

import subprocess
import sys
from pathlib import Path

import pytest

from job.deployment.shipping import pack

pytestmark = pytest.mark.heavy

_INSIDE = "_pemja"
_FLINK = """
import sys
from unittest.mock import MagicMock
import pemja
pemja.findClass = MagicMock()
import pyflink.fn_execution.embedded.operation_utils
print("apache_beam" in sys.modules, "pandas" in sys.modules)
"""


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack(tmp_path_factory.mktemp("code")).archive


def run(code: str, *paths: Path) -> subprocess.CompletedProcess[str]:
    """Run code with these paths before all others, as Flink does."""
    first = f"import sys; sys.path[:0] = {list(map(str, paths))}\n"
    return subprocess.run([sys.executable, "-c", first + code], capture_output=True, text=True, check=False)


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder of packages in which Beam is a small one."""
    package = tmp_path / "site" / "apache_beam"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from apache_beam.coders import CODERS")
    (package / "coders.py").write_text("CODERS = 7")
    return package.parent


def test_elsewhere_it_is_the_installed_one(archive: Path, installed: Path) -> None:
    done = run("import apache_beam.coders as c; print(c.CODERS, c.__file__, c.__package__)", archive, installed)
    assert done.stdout.split() == ["7", str(installed / "apache_beam" / "coders.py"), "apache_beam"], done.stderr


def test_the_code_of_two_deployments_does_not_hide_it(archive: Path, installed: Path, tmp_path: Path) -> None:
    other = tmp_path / "recloop_0123456789ab.zip"
    other.write_bytes(archive.read_bytes())
    done = run("import apache_beam; print(apache_beam.CODERS)", archive, other, installed)
    assert done.stdout == "7\n", done.stderr


def test_inside_a_task_manager_there_is_none(archive: Path, installed: Path, tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / f"{_INSIDE}.py").touch()
    done = run("import apache_beam", archive, installed, tmp_path / "inside")
    assert "run without Apache Beam" in done.stderr


def test_flinks_operators_in_thread_mode_do_without(archive: Path, tmp_path: Path) -> None:
    (tmp_path / f"{_INSIDE}.py").touch()
    done = run(_FLINK, archive, tmp_path)
    assert done.stdout == "False False\n", done.stderr

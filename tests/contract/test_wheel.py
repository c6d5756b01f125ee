"""The wheel that `make wheel` builds runs in an empty folder, with no checkout in reach."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from job.deployment.shipping import PROJECT

_UV = next((uv for uv in (PROJECT / ".uv/bin/uv", Path(shutil.which("uv") or "uv")) if uv.is_file()), None)
needs_uv = pytest.mark.skipif(_UV is None, reason="make setup installs uv, which builds wheels")
pytestmark = needs_uv
# The rest stays: package clients find proxies, mirrors and certificates by their variables.
_WITHOUT_CHECKOUT = {name: os.environ[name] for name in os.environ if not name.startswith(("PYTHON", "RECLOOP_"))}
_WITHOUT_CHECKOUT |= {"COLUMNS": "120"}


def uv(*arguments: str | Path) -> None:
    done = subprocess.run([str(_UV), *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy of what is in the repository, so that no file of an earlier build gets in."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("job", "udfs", "model", "requirements"):
        shutil.copytree(PROJECT / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "README.md", "LICENSE", "NOTICE"):
        shutil.copyfile(PROJECT / name, folder / "source" / name)
    options = ("--no-build-isolation", "--python", sys.executable, "--out-dir", folder)
    uv("build", "--quiet", "--wheel", *options, folder / "source")
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def recloop(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command of an environment that has the wheel, and this environment's libraries."""
    folder = tmp_path_factory.mktemp("environment")
    uv("venv", "--quiet", "--python", sys.executable, folder / "venv")
    python = folder / "venv/bin/python"
    uv("pip", "install", "--quiet", "--offline", "--no-deps", "--python", python, wheel)
    (installed,) = (folder / "venv/lib").glob("python*/site-packages")
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    # A folder that is named in a .pth file gives its packages alone: the editable install there is not looked at.
    (installed / "libraries.pth").write_text("\n".join(libraries))
    return folder / "venv/bin/recloop"


def run(recloop: Path, folder: Path, *arguments: str, timeout_s: float = 300) -> str:
    done = subprocess.run(
        [recloop, *arguments],
        cwd=folder,
        env=_WITHOUT_CHECKOUT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def test_the_wheel_holds_every_module_and_both_licence_files(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    modules = {
        file.relative_to(PROJECT).as_posix()
        for package in ("job", "udfs", "model")
        for file in (PROJECT / package).rglob("*.py")
    }
    others = {"job/drills/shifted_clock.c"} | {
        file.relative_to(PROJECT).as_posix()
        for folder in ("templates", "static")
        for file in (PROJECT / "job/page" / folder).rglob("*")
        if file.is_file()
    }
    assert {name for name in held if ".dist-info/" not in name} == modules | others
    assert {Path(name).name for name in held} >= {"LICENSE", "NOTICE", "entry_points.txt"}


def test_commands_run_in_an_empty_folder(recloop: Path, tmp_path: Path) -> None:
    assert "recloop demo" in run(recloop, tmp_path, "--help")
    assert "| `job_name` | `recloop` |" in run(recloop, tmp_path, "config", "table")
    sizes = ("--users", "20", "--items", "10", "--behaviors", "200", "--tastes", "2")
    run(recloop, tmp_path, "data", "generate", *sizes, "--out", "data/small")
    assert (tmp_path / "data/small/dataset.json").is_file()


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.timeout(1800)
def test_the_demonstration_runs_in_an_empty_folder(wheel: Path, tmp_path: Path) -> None:
    uv("venv", "--quiet", "--seed", "--python", sys.executable, tmp_path / "venv")
    uv("pip", "install", "--quiet", "--python", tmp_path / "venv/bin/python", wheel)
    (tmp_path / "empty").mkdir()
    told = run(tmp_path / "venv/bin/recloop", tmp_path / "empty", "demo", timeout_s=1500)
    assert "100,000 offsets = 100,000 applied + 0 duplicates + 0 dead letters" in told
    assert "nothing runs on" in told

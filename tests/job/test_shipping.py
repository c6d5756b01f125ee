"""The packages travel in one zip named after their content, with imports that can only mean that zip."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from job.deployment.shipping import ShippingError, pack, rename_imports

NAME = "recloop_0123456789ab"


def renamed(text: str) -> str:
    return rename_imports(text, NAME, "udfs/x.py")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project of two modules."""
    for package in ("job", "udfs", "model"):
        (tmp_path / "root" / package).mkdir(parents=True)
    (tmp_path / "root/job/main.py").write_text("from udfs.x import X\n")
    (tmp_path / "root/udfs/x.py").write_text("X = 1\n")
    return tmp_path / "root"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("from udfs.x import X", f"from {NAME}.udfs.x import X"),
        ("from model import records", f"from {NAME}.model import records"),
        ("    from job.x import (\n", f"    from {NAME}.job.x import (\n"),
        ("a = 1\nfrom job import b", f"a = 1\nfrom {NAME}.job import b"),
    ],
)
def test_imports_from_the_packages_are_rewritten(before: str, after: str) -> None:
    assert renamed(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "from models.x import y",
        "from job_x import y",
        "import modelling",
        "from pyflink.common import Row",
        "x = 'job'",
    ],
)
def test_other_lines_stay_as_they_are(text: str) -> None:
    assert renamed(text) == text


@pytest.mark.parametrize("text", ["import udfs", "    import model.records as records", "a = 1\nimport job.x\n"])
def test_a_plain_import_of_a_package_is_refused_by_name(text: str) -> None:
    with pytest.raises(ShippingError, match=r"udfs/x\.py: write 'import "):
        renamed(text)


def test_a_plain_import_is_refused_when_it_is_packed(root: Path, tmp_path: Path) -> None:
    (root / "model/y.py").write_text("import udfs.x\n")
    with pytest.raises(ShippingError, match=r"model/y\.py"):
        pack(tmp_path / "out", root)


def test_the_same_content_has_the_same_name_and_bytes(root: Path, tmp_path: Path) -> None:
    one, two = pack(tmp_path / "one", root), pack(tmp_path / "two", root)
    assert (one.name, one.archive.read_bytes()) == (two.name, two.archive.read_bytes())


def test_another_content_has_another_name(root: Path, tmp_path: Path) -> None:
    before = pack(tmp_path / "out", root).name
    (root / "udfs/x.py").write_text("X = 2\n")
    assert pack(tmp_path / "out", root).name != before


def test_a_moved_module_has_another_name(root: Path, tmp_path: Path) -> None:
    before = pack(tmp_path / "out", root).name
    (root / "udfs/x.py").rename(root / "udfs/y.py")
    assert pack(tmp_path / "out", root).name != before


def test_what_is_no_python_does_not_travel(root: Path, tmp_path: Path) -> None:
    (root / "udfs/x.json").write_text("{}")
    packed = pack(tmp_path / "out", root)
    assert zipfile.ZipFile(packed.archive).namelist() == [
        f"{packed.name}/{file}" for file in ("__init__.py", "job/main.py", "udfs/x.py")
    ]


def test_the_entry_runs_the_packed_main(root: Path, tmp_path: Path) -> None:
    packed = pack(tmp_path / "out", root)
    assert packed.entry.read_text().startswith(f"from {packed.name}.job.main import main\n")


def test_the_real_packages_import_from_the_zip_alone(tmp_path: Path) -> None:
    packed = pack(tmp_path)
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    script = f"""
import sys
sys.path += {[str(packed.archive), *libraries]}
from {packed.name}.udfs import feedback, lists, log, rows, users
from {packed.name}.udfs.model_serving import batching
from {packed.name}.job.settings import job_settings
ours = {{name.split(".")[0] for name in sys.modules}} & {{"job", "udfs", "model"}}
sys.exit(f"imported from elsewhere: {{ours}}" if ours else 0)
"""
    # -I and -S: neither the working folder nor the editable install of the checkout is on the path.
    done = subprocess.run([sys.executable, "-IS", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")

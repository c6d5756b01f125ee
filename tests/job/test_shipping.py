"""The packages travel in one zip named after their content, with imports that can only mean that zip."""

import ast
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from job.deployment.import_graph import PACKAGES, ShippingError
from job.deployment.shipping import PROJECT, Shipment, pack, read_sources, rename_imports

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
    (root / "udfs/x.py").write_text("import model.y\n")
    with pytest.raises(ShippingError, match=r"udfs/x\.py"):
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
    (root / "job/main.py").write_text("from udfs.y import X\n")
    assert set(read_sources(root)) == {"job/main.py", "udfs/y.py"}
    assert pack(tmp_path / "out", root).name != before


@pytest.mark.parametrize(
    "text",
    [
        "from udfs.folder.y import Y",
        "from udfs.folder import y",
        "from udfs.folder import (\n    y as z,\n)",
        "from .folder import y",
        "from .folder.y import Y",
        "def late():\n    from udfs.folder.y import Y\n",
        "try:\n    from udfs.folder.y import Y\nexcept ImportError:\n    Y = 2\n",
        "if X:\n    pass\nelse:\n    from udfs.folder.y import Y\n",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    pass\nelse:\n    from udfs.folder.y import Y\n",
        "from udfs.folder import Y",  # which its __init__ takes from y
        "from udfs.folder.by_name import named",  # which imports files beside it by names that nobody wrote down
    ],
)
def test_what_is_imported_at_any_time_is_shipped(root: Path, text: str) -> None:
    (root / "udfs/folder").mkdir()
    (root / "udfs/folder/__init__.py").write_text("from udfs.folder.y import Y\n" if "import Y" in text else "")
    (root / "udfs/folder/y.py").write_text("Y = 1\n")
    (root / "udfs/folder/by_name.py").write_text(
        'from importlib import import_module\nnamed = lambda name: import_module(f"{__package__}.{name}")\n'
    )
    (root / "udfs/x.py").write_text(f"X = 1\n{text}\n")
    shipped = set(read_sources(root))
    assert {"udfs/x.py", "udfs/folder/__init__.py", "udfs/folder/y.py"} <= shipped
    assert ("udfs/folder/by_name.py" in shipped) == ("by_name" in text)


@pytest.mark.parametrize(
    "text",
    [
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from udfs.y import Y\n",
        "import typing\nif typing.TYPE_CHECKING:\n    from udfs.y import Y\n",
        "text = 'from udfs.y import Y'",
        "# from udfs.y import Y",
        "from udfs.yy import Y",
    ],
)
def test_what_is_never_imported_is_not_shipped(root: Path, text: str) -> None:
    (root / "udfs/y.py").write_text("Y = 1\n")
    (root / "udfs/x.py").write_text(text)
    assert "udfs/y.py" not in read_sources(root)


def test_a_package_named_in_a_string_is_refused(root: Path) -> None:
    (root / "udfs/x.py").write_text('import importlib\n\nimportlib.import_module("udfs.y")\n')
    with pytest.raises(ShippingError, match=r"udfs/x\.py, line 3: write 'udfs\.y' as from \.\.\. import"):
        read_sources(root)


def test_what_is_no_python_code_is_refused_by_line(root: Path) -> None:
    (root / "udfs/x.py").write_text("X = 1\nX = = 2\n")
    with pytest.raises(ShippingError, match=r"udfs/x\.py, line 2: .*syntax"):
        read_sources(root)


def test_packages_without_the_entry_point_are_refused(root: Path) -> None:
    (root / "job/main.py").unlink()
    with pytest.raises(ShippingError, match=r"no job/main\.py in .*root"):
        read_sources(root)


def test_what_is_no_python_does_not_travel(root: Path, tmp_path: Path) -> None:
    (root / "udfs/x.json").write_text("{}")
    packed = pack(tmp_path / "out", root)
    own = [f"{packed.name}/{file}" for file in ("__init__.py", "job/main.py", "udfs/x.py")]
    assert zipfile.ZipFile(packed.archive).namelist() == ["apache_beam/__init__.py", *own]


def test_the_entry_runs_the_packed_main(root: Path, tmp_path: Path) -> None:
    packed = pack(tmp_path / "out", root)
    assert packed.entry.read_text().startswith(f"from {packed.name}.job.main import main\n")


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Shipment:
    """The project itself, packed."""
    return pack(tmp_path_factory.mktemp("real"))


def test_every_operator_is_shipped_and_nothing_that_only_commands_run() -> None:
    shipped = set(read_sources(PROJECT))
    udfs = {file.relative_to(PROJECT).as_posix() for file in (PROJECT / "udfs").rglob("*.py")}
    assert udfs <= shipped, "an operator that the job does not use"
    rooms = {path.rpartition("/")[0] for path in shipped} - {path.rpartition("/")[0] for path in udfs}
    assert rooms == {
        *("job", "job/kafka", "job/settings", "job/tables", "job/topology"),
        *("model", "model/bundles", "model/networks", "model/registry"),
    }
    assert not shipped & {"job/cli.py", "job/demo.py", "job/ab_report.py", "model/fit.py"}


@pytest.mark.parametrize(
    ("file", "renames"),
    [
        ("job/bench/pictures.py", False),
        ("job/drills/faults/processes.py", False),
        ("job/demo.py", False),
        ("job/commands/sql.py", False),
        ("model/recommenders/als.py", False),
        ("udfs/users/profile.py", True),
        ("udfs/scoring/score_cache.py", True),  # imported where it is used
        ("job/topology/operators.py", True),
        ("model/bundles/trial.py", True),
    ],
)
def test_only_what_the_job_runs_gives_it_its_name(real: Shipment, tmp_path: Path, file: str, *, renames: bool) -> None:
    for package in PACKAGES:
        shutil.copytree(PROJECT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / file).open("a") as edited:
        edited.write("EDITED = True\n")
    assert (pack(tmp_path / "out", tmp_path).name != real.name) == renames


def test_every_import_of_what_is_shipped_is_met_by_the_zip_alone(real: Shipment) -> None:
    statements = sorted(set(imports_in(real)))
    assert any("score_cache" in statement for statement in statements), "those in functions are among them"
    run_isolated(real, "\n".join(statements))


def test_the_jvm_s_interpreter_is_not_made_to_load_torch(real: Shipment) -> None:
    run_isolated(real, f"import {real.name}\nassert 'torch' not in sys.modules")


def imports_in(shipment: Shipment) -> list[str]:
    """Each statement that imports from the packages, also those in functions."""
    archive = zipfile.ZipFile(shipment.archive)
    texts = (archive.read(path).decode() for path in archive.namelist())
    nodes = (node for text in texts for node in ast.walk(ast.parse(text)))
    return [ast.unparse(n) for n in nodes if isinstance(n, ast.ImportFrom) and (n.module or "").startswith("recloop_")]


def run_isolated(shipment: Shipment, code: str) -> None:
    """Runs code that has the zip and the libraries, and neither this folder nor the checkout."""
    libraries = [path for path in sys.path if path.endswith("site-packages")]
    script = f"""
import sys
sys.path += {[str(shipment.archive), *libraries]}
{code}
ours = {{name.split(".")[0] for name in sys.modules}} & {set(PACKAGES)}
sys.exit(f"imported from elsewhere: {{ours}}" if ours else 0)
"""
    # -I and -S: neither the working folder nor the editable install of the checkout is on the path.
    done = subprocess.run([sys.executable, "-IS", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")

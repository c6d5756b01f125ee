"""A surviving TaskManager can start any operator, though the zip it imported the code from is gone."""

import importlib
import sys
import zipfile
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from job.deployment.shipping import pack


def test_modules_not_used_yet_are_there_when_the_zip_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in (
        ("job/main", "from udfs import second\n"),
        ("udfs/__init__", ""),
        ("udfs/first", "ONE = 1\n"),
        ("udfs/second", "from udfs.first import ONE\n"),
    ):
        file = tmp_path / "root" / f"{name}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    shipment = pack(tmp_path / "out", tmp_path / "root")
    monkeypatch.syspath_prepend(shipment.archive)
    importlib.import_module(f"{shipment.name}.udfs.first")
    shipment.archive.unlink()
    importlib.invalidate_caches()
    second = importlib.import_module(f"{shipment.name}.udfs.second")
    assert second.ONE == 1
    for module in [name for name in sys.modules if name.startswith(shipment.name)]:
        monkeypatch.delitem(sys.modules, module)


def test_a_worker_imports_only_what_it_uses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("job", "udfs"):
        (tmp_path / package).mkdir()
    (tmp_path / "job" / "main.py").write_text("from udfs import broken")
    (tmp_path / "udfs" / "__init__.py").touch()
    (tmp_path / "udfs" / "broken.py").write_text("raise AssertionError")
    shipment = pack(tmp_path / "out", tmp_path)
    monkeypatch.syspath_prepend(shipment.archive)
    worker = ModuleSpec("pyflink.fn_execution.beam.beam_boot", None)
    monkeypatch.setattr(sys.modules["__main__"], "__spec__", worker)
    importlib.import_module(f"{shipment.name}.udfs")
    for module in [name for name in sys.modules if name.startswith(shipment.name)]:
        monkeypatch.delitem(sys.modules, module)


def test_what_needs_torch_is_not_imported_with_the_rest(tmp_path: Path) -> None:
    shipment = pack(tmp_path)
    code = zipfile.ZipFile(shipment.archive).read(f"{shipment.name}/__init__.py").decode()
    assert "'udfs.feedback.measure_feedback'" in code
    assert "'udfs.scoring.scorer'" not in code

"""A surviving TaskManager can start any operator, though the zip it imported the code from is gone."""

import importlib
import sys
import zipfile
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from job.deployment.shipping import pack


def test_modules_not_used_yet_are_there_when_the_zip_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    udfs = tmp_path / "root" / "udfs"
    udfs.mkdir(parents=True)
    for name, text in (("__init__", ""), ("first", "ONE = 1\n"), ("second", "from udfs.first import ONE\n")):
        (udfs / f"{name}.py").write_text(text)
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
    (tmp_path / "udfs").mkdir()
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
    assert "udfs.feedback.measure_feedback" in code
    assert 'udfs.scoring.scorer"' not in code

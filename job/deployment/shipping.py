"""The packages as one zip named after its content, so that a TaskManager never runs an older deployment's code.

A TaskManager's embedded interpreter lives as long as its JVM and keeps every module it imported: a second job with
changed code under the same package names would run the old code in its thread-mode operators. So the job's code, which
is all that its entry point reaches by imports, travels inside one package named after the hash of that code, with the
imports rewritten to it. Two deployments with the same code share a name, whatever else has changed; different ones can
even run side by side.

Flink removes the zip when tasks restart, and the interpreter would search the removed zip for a module that it has not
imported yet: an operator that moves to a surviving TaskManager would never start there. So the outer package imports
at once everything that thread-mode operators may need. It does not in worker processes, which are started anew with
their own zip. There, threads of one process make several operators at the same time: one that imports a module holds
its lock and waits for the package, which would wait for that module ("deadlock detected by _ModuleLock").
"""

import hashlib
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from job.deployment.import_graph import PACKAGES, ShippingError, reached
from model.files import whole_file

PROJECT = Path(__file__).resolve().parents[2]
"""The folder that holds the packages that run now."""
_ENTRY = "job.main"
_NAMES = "|".join(PACKAGES)
_FROM = re.compile(rf"^(\s*from )({_NAMES})(?=[. ])", re.MULTILINE)
_PLAIN = re.compile(rf"^\s*import ({_NAMES})\b.*$", re.MULTILINE)
_TORCH = re.compile(r"^(import|from) (torch|udfs\.scoring\.device)\b", re.MULTILINE)
_WORKER = "pyflink.fn_execution.beam.beam_boot"
"""The main module of a worker process."""
_BEAM = Path(__file__).with_name("beam_in_threads.py")
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Shipment:
    """The files that go to the cluster.

    Attributes:
        name: the outer package: "recloop_" and 12 hex digits of the code's hash.
        archive: the zip, for Flink's `-pyfs`.
        entry: the script, for Flink's `-py`.
    """

    name: str
    archive: Path
    entry: Path


def pack(folder: Path, root: Path = PROJECT) -> Shipment:
    """Write zip and script into the folder.

    Args:
        folder: the target; made if it is not there.
        root: the folder that holds the packages.

    Raises:
        ShippingError: a module is not Python, or imports one of the packages in a form that can't be rewritten.
    """
    sources = read_sources(root)
    name = _name(sources)
    folder.mkdir(parents=True, exist_ok=True)
    archive = folder / f"{name}.zip"
    # Written atomically, because an earlier deployment with the same code may have to be submitted again.
    with whole_file(archive, many_writers=True) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr(zipfile.ZipInfo("apache_beam/__init__.py", _EPOCH), _BEAM.read_text())
        out.writestr(zipfile.ZipInfo(f"{name}/__init__.py", _EPOCH), _import_all(sources))
        for path, text in sources.items():
            out.writestr(zipfile.ZipInfo(f"{name}/{path}", _EPOCH), rename_imports(text, name, path))
    entry = folder / f"{name}_main.py"
    entry.write_text(f"from {name}.job.main import main\n\nmain()\n")
    return Shipment(name, archive, entry)


def code_name(root: Path = PROJECT) -> str:
    """Return the name that the code would travel under.

    Raises:
        ShippingError: a module is not Python.
    """
    return _name(read_sources(root))


def _name(sources: dict[str, str]) -> str:
    return f"recloop_{_code_hash(sources)[:12]}"


def _import_all(sources: dict[str, str]) -> str:
    """Return the outer package's own code, which imports every shipped module of udfs except in a worker process.

    Modules that need torch are left out: only worker processes score.
    """
    names = (path.removesuffix(".py").replace("/", ".") for path, text in sources.items() if not _TORCH.search(text))
    modules = [name for name in names if name.startswith("udfs.") and not name.endswith("__init__")]
    spec = 'getattr(sys.modules["__main__"], "__spec__", None)'
    return f"""import sys
from importlib import import_module

if getattr({spec}, "name", None) != "{_WORKER}":
    for name in {modules}:
        import_module(f"{{__name__}}.{{name}}")
"""


def read_sources(root: Path) -> dict[str, str]:
    """Return the job's code as path below the root -> text.

    Raises:
        ShippingError: the job's entry point is not there, or a module can't be read as Python.
    """
    return reached(root, _ENTRY)


def _code_hash(sources: dict[str, str]) -> str:
    """Return the SHA-256 over all paths and texts, in hex."""
    digest = hashlib.sha256()
    for path, text in sources.items():
        digest.update(f"{path}\0{text}\0".encode())
    return digest.hexdigest()


def rename_imports(text: str, name: str, path: str) -> str:
    """Return the module's text with imports from the packages pointing into the outer one.

    Raises:
        ShippingError: it has `import job`, `import udfs.x` or the like; only `from ... import` is rewritten.
    """
    if plain := _PLAIN.search(text):
        msg = f"{path}: write {plain.group().strip()!r} as from ... import ..., so that it can be shipped"
        raise ShippingError(msg)
    return _FROM.sub(rf"\1{name}.\2", text)

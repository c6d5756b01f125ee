"""Download of MovieLens-100K: it comes inside the PyPI wheel of recbole 1.2.1, whose sha256 is checked.

The machine's own package client fetches it, so its mirrors and proxies apply.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from model.datasets.errors import DownloadError
from model.folders import FolderKind, whole_folder

_REQUIREMENT = "recbole==1.2.1 --hash=sha256:9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407\n"
_INSIDE_WHEEL = Path("recbole/dataset_example/ml-100k")
_SHA256 = {
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
}
TIMEOUT_S = 300
_FETCHED = FolderKind("the fetched MovieLens-100K", "ml-100k.inter", frozenset(), tuple(_SHA256))


def fetch_ml_100k(cache: Path) -> Path:
    """Return a folder with the files of `_SHA256`, fetched unless it is already there.

    Args:
        cache: where the folder `ml-100k` is kept.

    Raises:
        DownloadError: no package client could fetch the wheel, or a file is not what it should be.
    """
    folder = cache / "ml-100k"
    if _problem(folder) is None:
        return folder
    with tempfile.TemporaryDirectory() as scratch, whole_folder(folder, _FETCHED) as draft:
        source = _fetch_wheel(Path(scratch)) / _INSIDE_WHEEL
        for name in _SHA256:
            shutil.copyfile(source / name, draft / name)
        if problem := _problem(draft):
            raise DownloadError(problem)
    return folder


def _problem(folder: Path) -> str | None:
    for name, expected in _SHA256.items():
        file = folder / name
        if not file.is_file():
            return f"{file} is missing"
        if hashlib.sha256(file.read_bytes()).hexdigest() != expected:
            return f"{file} is not the expected file (its sha256 differs); delete it and run again"
    return None


def _fetch_wheel(scratch: Path) -> Path:
    """Try each client in turn, and return a folder with the wheel's content."""
    requirements = scratch / "requirements.txt"
    requirements.write_text(_REQUIREMENT)
    content = scratch / "content"
    failures = []
    for command in _commands(requirements, content):
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
        if done.returncode == 0:
            for wheel in content.glob("*.whl"):
                with zipfile.ZipFile(wheel) as archive:
                    archive.extractall(content)
            return content
        failures.append(f"{command[0]}: {(done.stderr.strip().splitlines() or ['failed'])[-1]}")
    tried = "; ".join(failures) or "no uv and no pip was found"
    msg = (
        f"MovieLens-100K could not be fetched ({tried}). Check the connection to the package registry, or "
        "unpack the wheel of recbole 1.2.1 yourself and give its folder dataset_example/ml-100k with --path"
    )
    raise DownloadError(msg)


def _commands(requirements: Path, content: Path) -> Iterator[list[str]]:
    uv_options = ["--quiet", "--no-deps", "--require-hashes", "--python", sys.executable]
    for uv in _found(["uv"], Path(sys.prefix).parent / ".uv" / "bin" / "uv"):
        yield [uv, "pip", "install", *uv_options, "--target", str(content), "-r", str(requirements)]
    pip_options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
    for python in _found(["python3.11", "python3", "python"], Path(sys.executable)):
        yield [python, "-m", "pip", "download", *pip_options, "-d", str(content), "-r", str(requirements)]


def _found(names: list[str], first: Path) -> Iterator[str]:
    if first.is_file():
        yield str(first)
    yield from filter(None, map(shutil.which, names))

"""Download of data sets that come inside PyPI wheels, whose sha256 is checked: MovieLens-100K and the Open Bandit data.

The machine's own package client fetches them, so its mirrors and proxies apply.
"""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from model.datasets.errors import DownloadError
from model.folders import FolderKind, whole_folder

TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class _Packed:
    """A data set inside a wheel.

    Attributes:
        title: the data set, for messages.
        folder: name of its folder in the cache.
        requirement: the wheel and its hash, as pip's requirements files have them.
        files: name in the folder -> path inside the wheel and sha256 of the file.
        otherwise: advice for when it cannot be fetched.
    """

    title: str
    folder: str
    requirement: str
    files: Mapping[str, tuple[str, str]]
    otherwise: str


_ML_100K = _Packed(
    "MovieLens-100K",
    "ml-100k",
    "recbole==1.2.1 --hash=sha256:9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407",
    {
        name: (f"recbole/dataset_example/ml-100k/{name}", sha256)
        for name, sha256 in (
            ("ml-100k.inter", "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff"),
            ("ml-100k.item", "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532"),
        )
    },
    "unpack the wheel of recbole 1.2.1 yourself and give its folder dataset_example/ml-100k with --path",
)
_OPEN_BANDIT = _Packed(
    "the Open Bandit data",
    "open-bandit",
    "obp==0.4.1 --hash=sha256:87dec9caf4283c25ab13036532e0a24566f1c7bdcad1653a8ded43b2f5ef8208",
    {
        "random.csv": (
            "obp/dataset/obd/random/all/all.csv",
            "7168295b6e0a9eabcf3392320a5dd434e542b68e705d5cd9491499af589812f1",
        ),
        "bts.csv": (
            "obp/dataset/obd/bts/all/all.csv",
            "0ad874e4dbf6902f0845dd478ad8dde5ef6903583d3ffaace78411bdad064106",
        ),
        "prior_bts.yaml": (
            "obp/policy/conf/prior_bts.yaml",
            "81a54fbdc184021ccc62ab97de81ec35461c032e3d7f99ccaa0a9745f732d251",
        ),
    },
    "put these files of the wheel of obp 0.4.1 into the folder open-bandit of the cache: "
    "obp/dataset/obd/random/all/all.csv as random.csv, obp/dataset/obd/bts/all/all.csv as bts.csv, and "
    "obp/policy/conf/prior_bts.yaml",
)


def fetch_ml_100k(cache: Path) -> Path:
    """Return a folder with ml-100k.inter and ml-100k.item, fetched unless it is already there.

    Args:
        cache: where the folder `ml-100k` is kept.

    Raises:
        DownloadError: no package client could fetch the wheel, or a file is not what it should be.
    """
    return _fetch(cache, _ML_100K)


def fetch_open_bandit(cache: Path) -> Path:
    """Return a folder with random.csv, bts.csv and prior_bts.yaml, fetched unless it is already there.

    Args:
        cache: where the folder `open-bandit` is kept.

    Raises:
        DownloadError: as `fetch_ml_100k`.
    """
    return _fetch(cache, _OPEN_BANDIT)


def _fetch(cache: Path, packed: _Packed) -> Path:
    folder = cache / packed.folder
    if _problem(folder, packed) is None:
        return folder
    kind = FolderKind(f"the fetched {packed.title}", next(iter(packed.files)), frozenset(), tuple(packed.files))
    with tempfile.TemporaryDirectory() as scratch, whole_folder(folder, kind) as draft:
        content = _fetch_wheel(Path(scratch), packed)
        for name, (inside, _) in packed.files.items():
            shutil.copyfile(content / inside, draft / name)
        if problem := _problem(draft, packed):
            raise DownloadError(problem)
    return folder


def _problem(folder: Path, packed: _Packed) -> str | None:
    for name, (_, expected) in packed.files.items():
        file = folder / name
        if not file.is_file():
            return f"{file} is missing"
        if hashlib.sha256(file.read_bytes()).hexdigest() != expected:
            return f"{file} is not the expected file (its sha256 differs); delete it and run again"
    return None


def _fetch_wheel(scratch: Path, packed: _Packed) -> Path:
    """Try each client in turn, and return a folder with the wheel's content."""
    requirements = scratch / "requirements.txt"
    requirements.write_text(packed.requirement + "\n")
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
        f"{packed.title} could not be fetched ({tried}). Check the connection to the package registry, or "
        f"{packed.otherwise}"
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

"""Checks of the installed software: Python, Java, Flink, the packages and their conflicts, and torch."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import metadata
from types import MappingProxyType

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from job.cluster.config import java_options
from job.cluster.java import find_java
from job.cluster.layout import flink_home
from job.doctor.finding import Finding, Setup, advice, fault, ok

_OURS = "recloop"
_TRIED = (3, 11)
_POSSIBLE = ((3, 11), (3, 12))
_ONLY: Mapping[str, str] = MappingProxyType({"kafka": "kafka-python", "crc32c": "crc32c", "snappy": "python-snappy"})
"""Modules that other packages bring too, in versions that do something else -> the package that has to bring them."""
_Find = Callable[[str], metadata.Distribution]


def check_python(_setup: Setup) -> Iterator[Finding]:
    """Find out whether the job was tried with this Python."""
    yield python_finding(sys.version_info[:2], sys.executable)


def python_finding(version: tuple[int, int], executable: str) -> Finding:
    """Return the finding about a version of Python."""
    text = f"Python {version[0]}.{version[1]} ({executable})"
    if version == _TRIED:
        return ok(text)
    mend = "make the environment anew with Python 3.11, which everything is tried with"
    return (advice if version in _POSSIBLE else fault)(text, mend)


def check_java(setup: Setup) -> Iterator[Finding]:
    """Find the Java that runs Flink."""
    java = find_java(setup.environ)
    yield ok(f"Java {java.version} ({java.home})")


def check_flink(_setup: Setup) -> Iterator[Finding]:
    """Find the Flink that commands start and submit with."""
    home = flink_home()
    java_options(home)
    yield ok(f"Flink {metadata.version('apache-flink')} ({home})")


def check_packages(_setup: Setup) -> Iterator[Finding]:
    """Check all packages that recloop needs, and those that they need."""
    mend = "make setup, or pip install --force-reinstall recloop in a new environment"
    problems = [*lacking(_OURS), *doubled(metadata.packages_distributions())]
    yield from (fault(problem, mend) for problem in problems)
    if not problems:
        yield ok(f"recloop {metadata.version(_OURS)}, and every package that it needs")


def lacking(root: str, find: _Find = metadata.distribution) -> Iterator[str]:
    """Yield each package that is missing or of a wrong version, among those that one needs, directly or not.

    Args:
        root: the package.
        find: returns an installed package by its name, or raises PackageNotFoundError.
    """
    waiting, seen = deque([root]), {canonicalize_name(root)}
    while waiting:
        name = waiting.popleft()
        for requirement in _requirements(find(name)):
            needed = canonicalize_name(requirement.name)
            try:
                version = find(needed).version
            except metadata.PackageNotFoundError:
                yield f"{name} needs {needed}, which is not installed"
                continue
            if not requirement.specifier.contains(version, prereleases=True):
                yield f"{name} needs {needed} {requirement.specifier}, and {version} is installed"
            if needed not in seen:
                seen.add(needed)
                waiting.append(needed)


def doubled(providers: Mapping[str, Sequence[str]], only: Mapping[str, str] = _ONLY) -> Iterator[str]:
    """Yield each module that a package brings beside the one that has to: which of the two is imported is chance.

    Args:
        providers: module -> the installed packages that bring it.
        only: module -> the package that has to bring it.
    """
    for module, package in only.items():
        others = sorted({each for each in providers.get(module, ()) if canonicalize_name(each) != package})
        if others:
            yield f"the module {module} has to be {package}'s, and {', '.join(others)} brings one too: uninstall that"


def check_torch(setup: Setup) -> Iterator[Finding]:
    """Find out whether torch loads, and sees the device that scores."""
    try:
        import torch  # takes seconds
    except (ImportError, OSError) as error:
        yield fault(f"torch does not load: {error}", "make setup")
        return
    yield ok(f"torch {torch.__version__}")
    device = setup.settings.scoring.device
    if device == "cpu":
        return
    if torch.cuda.is_available():
        yield ok(f"scoring.device={device}: {torch.cuda.device_count()} GPU(s) here")
        return
    text = f"scoring.device={device}, and torch sees no GPU on this machine"
    mend = "install the driver, or set scoring.device=cpu; ignore this if TaskManagers on other machines have GPUs"
    yield advice(text, mend)


def _requirements(package: metadata.Distribution) -> Iterable[Requirement]:
    """Return what a package needs here, without its extras."""
    parsed = map(Requirement, package.requires or ())
    return (each for each in parsed if each.marker is None or each.marker.evaluate({"extra": ""}))

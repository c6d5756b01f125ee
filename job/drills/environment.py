"""The environment of a drill: machine, versions and sizes, as its report names them."""

import os
import platform
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

import psutil

from job.drills.drill_log import Scale

_PACKAGES = ("recloop", "apache-flink", "torch", "duckdb")


def environment(scale: Scale) -> tuple[tuple[str, str], ...]:
    """Return names and values, in the order to show them."""
    return tuple(_facts(scale))


def _facts(scale: Scale) -> Iterator[tuple[str, str]]:
    yield "system", f"{platform.system()} {platform.release()}, {platform.machine()}"
    yield "processors", str(len(os.sched_getaffinity(0)))
    yield "memory", f"{psutil.virtual_memory().total / 2**30:.1f} GiB"
    yield "Python", platform.python_version()
    for package in _PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            yield package, "run from its folder"
    for name, value in asdict(scale).items():
        yield f"drill: {name}", f"{value:g}" if isinstance(value, float) else str(value)

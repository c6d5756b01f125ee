"""What Dockerfile and compose files are held against: the repository, the `recloop` command and its settings."""

import importlib.util
import re
import sys
from collections.abc import Sequence
from fnmatch import translate
from pathlib import Path
from types import ModuleType

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from job.cli import app
from job.cluster import ClusterSpec
from job.cluster.config import flink_configuration
from job.cluster.gpus import gpu_configuration, state_configuration
from job.cluster.layout import METRICS_GATEWAY
from job.settings.job_settings import SettingsError, load

ROOT = Path(__file__).resolve().parents[3]
DOCKERFILE = ROOT / "docker" / "Dockerfile"
COMPOSE = ROOT / "docker" / "compose.yaml"
COMPOSE_CUDA = ROOT / "docker" / "compose.cuda.yaml"
FLINK_ROLES = ("jobmanager", "taskmanager", "gpu-taskmanager")


def script(name: str) -> ModuleType:
    """A Python file of docker/, which is no package, as a module."""
    spec = importlib.util.spec_from_file_location(f"recloop_docker_{name}", ROOT / "docker" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def version() -> str:
    found = re.search(r'version="([^"]+)"', (ROOT / "setup.py").read_text())
    assert found is not None
    return found[1]


def command_problem(words: Sequence[str]) -> str | None:
    """Why the entry point could not run this; None if it could."""
    name, *arguments = words
    if name == METRICS_GATEWAY:
        return f"nothing may follow {name}" if arguments else None
    if name in FLINK_ROLES:
        return _flink_problem(arguments)
    return _recloop_problem(arguments) if name == "recloop" else f"{name} is neither a role nor recloop"


def in_context(path: str, ignored: str) -> bool:
    """Whether the repository has this path and .dockerignore (its text is given) lets it into the build."""
    kept = True
    for line in ignored.splitlines():
        if (pattern := line.strip()) and not pattern.startswith("#") and _matches(pattern.removeprefix("!"), path):
            kept = pattern.startswith("!")
    return kept and (ROOT / path).exists()


def _matches(pattern: str, path: str) -> bool:
    parts = path.split("/")
    own = pattern.split("/")
    if own[0] == "**":
        return any(re.match(translate("/".join(own[1:])), part) for part in parts)
    return len(own) <= len(parts) and all(re.match(translate(a), b) for a, b in zip(own, parts, strict=False))


def _flink_problem(arguments: Sequence[str]) -> str | None:
    known = flink_configuration(ClusterSpec()) | state_configuration() | gpu_configuration(Path("/script"))
    for flag, pair in zip(arguments[::2], [*arguments[1::2], ""], strict=False):
        if flag != "--set" or pair.partition("=")[0] not in known:
            return f"{flag} {pair} is no setting of Flink's that a local cluster has"
    return None


def _recloop_problem(arguments: Sequence[str]) -> str | None:
    """Parses the words by the real command, without running it; --set is checked by the real settings."""
    command, rest = get_command(app), list(arguments)
    while rest and (below := getattr(command, "commands", {}).get(rest[0])) is not None:
        command, rest = below, rest[1:]
    if hasattr(command, "commands") and rest[:1] != ["--help"]:
        return f"recloop {' '.join(arguments)}: no such command"
    try:
        told = command.make_context("recloop", rest).params
        if told.get("overrides"):
            load(None, told["overrides"])
    except typer.Exit:
        return None  # it was --help
    except (TyperException, SettingsError) as error:
        return f"recloop {' '.join(arguments)}: {error}"
    return None

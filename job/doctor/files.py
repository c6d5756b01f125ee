"""Checks of rights: the folders that are written, and the files that hold secrets."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from job.doctor.finding import Finding, Setup, fault, ok
from job.doctor.machine import nearest
from job.settings.job_settings import JobSettings

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def check_folders(setup: Setup) -> Iterator[Finding]:
    """Find out whether the job's folders can be made and written to."""
    settings = setup.settings
    folders = [settings.tables.folder, settings.models.cache, setup.cluster.absolute()]
    if settings.log.kind == "files":
        folders.append(settings.log.folder)
    problems = [problem for folder in folders if (problem := folder_problem(folder)) is not None]
    yield from (fault(problem, "chown or chmod it, or give another folder") for problem in problems)
    if not problems:
        yield ok(f"{len(folders)} folders can be written to")


def folder_problem(folder: Path) -> str | None:
    """Return why a folder can't be made or written to, or None."""
    place = nearest(folder)
    if not place.is_dir():
        return f"{place} is a file, and {folder} has to be a folder"
    if not os.access(place, os.W_OK | os.X_OK):
        return f"{place} can't be written to" + ("" if place == folder else f", so {folder} can't be made")
    return None


def check_secrets(setup: Setup) -> Iterator[Finding]:
    """Find out whether all secrets that the settings name are there, and for nobody else to read."""
    files, variables = secret_places(setup.settings)
    problems = list(filter(None, map(secret_problem, files)))
    problems += [
        fault(f"the variable {name} is empty here", "set it here and on every TaskManager")
        for name in variables
        if not setup.environ.get(name)
    ]
    yield from problems
    if not problems:
        count = len(files) + len(variables)
        yield ok(f"{count} secret(s), each for its owner alone" if count else "the settings name no secrets")


def secret_places(settings: JobSettings) -> tuple[list[Path], list[str]]:
    """Return the files and the variables that hold the secrets of the settings."""
    kafka = settings.kafka
    places = [place for place in (kafka.password, kafka.key_password, settings.models.url) if place]
    named = [(kind, name) for kind, _, name in (place.partition(":") for place in places) if not name.startswith("//")]
    files = [Path(name) for kind, name in named if kind == "file"]
    return [*files, *filter(None, [kafka.key_file])], [name for kind, name in named if kind == "env"]


def secret_problem(file: Path) -> Finding | None:
    """Return what is wrong with a file that holds a secret, or None."""
    try:
        mode = file.stat().st_mode
    except OSError as error:
        return fault(f"the secret's file {file} can't be read ({error.strerror})", "put it there, on every TaskManager")
    if not os.access(file, os.R_OK):
        return fault(f"the secret's file {file} can't be read", f"chown it to who runs the job: {file}")
    if mode & _OTHERS:
        return fault(f"others can use the secret's file {file} ({stat.filemode(mode)})", f"chmod 600 {file}")
    return None

"""Everything that can be wrong with the Dockerfile and seen without building it."""

import re
import shutil
import subprocess
from collections.abc import Iterator

from tests.contract.docker.dockerfile import Dockerfile, Stage, expand
from tests.contract.docker.facts import ROOT, command_problem, in_context

DEVICES = ("cpu", "cuda")
_REQUIREMENTS = re.compile(r"requirements/[\w.-]+\.txt")
_INSTALLS = re.compile(r"pip (?:install|sync)\b")


def problems(file: Dockerfile, ignored: str) -> list[str]:
    """What is wrong, in words; nothing if nothing is.

    Args:
        file: the Dockerfile.
        ignored: the text of .dockerignore.
    """
    found = [*_devices(file), *_bases(file)]
    for stage in file.stages:
        found += [*_copies(file, stage, ignored), *_runs(stage)]
    for device in DEVICES:
        found += _final(file, device)
    return sorted(set(found))


def _devices(file: Dockerfile) -> Iterator[str]:
    if file.arguments.get("DEVICE") not in DEVICES:
        yield "ARG DEVICE has no default of cpu or cuda before the first FROM"
    for device in DEVICES:
        if f"device-{device}" not in [each.name for each in file.lineage(file.stages[-1], {"DEVICE": device})]:
            yield f"DEVICE={device} does not lead to a stage device-{device}"


def _bases(file: Dockerfile) -> Iterator[str]:
    for device in DEVICES:
        for stage in file.stages:
            base = expand(file.lineage(stage, {"DEVICE": device})[-1].base, {"DEVICE": device})
            if problem := image_problem(base):
                yield problem
            if base.startswith("python:") and not base.startswith("python:3.11"):
                yield f"{base} is not Python 3.11, which setup.py asks for"


def image_problem(image: str) -> str | None:
    """Why this is no image with a version of its own."""
    _, _, tag = image.rpartition("/")[2].partition(":")
    if not tag or tag == "latest":
        return f"{image} names no version"
    return None


def _copies(file: Dockerfile, stage: Stage, ignored: str) -> Iterator[str]:
    for each in stage.every("COPY"):
        *sources, target = each.words
        origin = dict(each.flags).get("from")
        if origin is not None:
            if file.stage(origin) is None:
                yield f"line {each.line}: there is no stage {origin}"
            continue
        yield from (
            f"line {each.line}: {path} is not in the build" for path in sources if not in_context(path, ignored)
        )
        if len(sources) > 1 and not target.endswith("/"):
            yield f"line {each.line}: several files need a target that ends with /"
    if stage.every("ADD"):
        yield f"stage {stage.name} uses ADD: COPY does what is seen"


def _runs(stage: Stage) -> Iterator[str]:
    copied = {path for each in stage.every("COPY") for path in each.words[:-1]}
    for each in stage.every("RUN"):
        shell = shutil.which("sh") or "/bin/sh"
        if subprocess.run([shell, "-n", "-c", each.text], capture_output=True, check=False).returncode:
            yield f"line {each.line}: no shell reads this"
        needed = set(_REQUIREMENTS.findall(each.text))
        yield from (f"line {each.line}: {path} was not copied" for path in sorted(needed - copied))
        if needed and each.text.count("--require-hashes") != len(_INSTALLS.findall(each.text)):
            yield f"line {each.line}: installs without --require-hashes"
        if "://" in each.text:
            yield f"line {each.line}: names a host; the registry is the builder's business"


def _final(file: Dockerfile, device: str) -> Iterator[str]:
    final = file.stages[-1]
    arguments = {name: value for each in final.every("ARG") for name, value in each.pairs.items()}
    user = final.last("USER")
    if user is None or expand(user.text, arguments) in ("", "0", "root"):
        yield "the image runs as root"
    inherited = [
        stage.last(keyword) for keyword in ("HEALTHCHECK",) for stage in file.lineage(final, {"DEVICE": device})
    ]
    if not any(inherited):
        yield "the image has no HEALTHCHECK"
    yield from _scripts(final)
    command = final.last("CMD")
    if command is not None and (problem := command_problem(command.words)):
        yield problem


def _scripts(final: Stage) -> Iterator[str]:
    """What ENTRYPOINT and HEALTHCHECK run has to be in the image."""
    copied = set()
    for each in final.every("COPY"):
        *sources, target = each.words
        copied |= {f"{target.rstrip('/')}/{path.rpartition('/')[2]}" for path in sources if (ROOT / path).is_file()}
    for each in (*final.every("ENTRYPOINT"), *final.every("HEALTHCHECK")):
        for path in re.findall(r"/[\w./-]+\.py", each.text):
            if path not in copied:
                yield f"line {each.line}: {path} is not in the image"

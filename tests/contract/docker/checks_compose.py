"""Everything that can be wrong with the compose files and seen without an engine."""

from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import PurePosixPath
from typing import Any

from job.cluster.gpus import state_configuration
from tests.contract.docker.checks_dockerfile import image_problem
from tests.contract.docker.dockerfile import Dockerfile, expand
from tests.contract.docker.facts import ROOT, command_problem, version

Service = dict[str, Any]
_SORTS = ("gpu-taskmanager", "taskmanager")
_ENDLESS = frozenset({"always", "unless-stopped"})


def problems(project: dict[str, Any], dockerfile: Dockerfile) -> list[str]:
    """What is wrong with a project as `compose.load` reads it, in words; nothing if nothing is."""
    services: dict[str, Service] = project["services"]
    found = []
    for name, service in services.items():
        checks = [_image(service, dockerfile), _ports(service, dockerfile)]
        if _is_ours(service):
            checks += [_command(service), _volumes(service, dockerfile)]
        checks.append(_declared(service, project.get("volumes") or {}))
        found += [f"{name}: {problem}" for check in checks for problem in check]
        found += [f"{name}: {problem}" for problem in _dependencies(name, services, dockerfile)]
    return [*found, *_placement(services)]


def _image(service: Service, dockerfile: Dockerfile) -> Iterator[str]:
    image = service.get("image", "")
    if problem := image_problem(image):
        yield problem
    if (build := service.get("build")) is None:
        return
    place = ROOT / "docker" / build["context"]
    if place.resolve() != ROOT or not (place / build["dockerfile"]).is_file():
        yield f"there is no {build['dockerfile']} in {build['context']}"
    arguments = build.get("args", {})
    declared = {
        *dockerfile.arguments,
        *(name for each in dockerfile.stages for arg in each.every("ARG") for name in arg.pairs),
    }
    yield from (f"the Dockerfile has no ARG {name}" for name in arguments if name not in declared)
    if image != f"recloop:{version()}-{arguments.get('DEVICE')}":
        yield f"image {image} is not of this version and device"


def _placement(services: dict[str, Service]) -> Iterator[str]:
    """Where the job keeps scoring apart, TaskManagers of both sorts are there for it, as many as of the other."""
    apart = services["deploy"].get("environment", {}).get("RECLOOP_PLACEMENT__SCORING") == "gpu"
    sorts = {role: [each for each in services.values() if each.get("command", [""])[0] == role] for role in _SORTS}
    with_gpu, others = (sorts[role] for role in _SORTS)
    if not apart:
        yield from ("a GPU TaskManager that no operator asks for" for _ in with_gpu)
        return
    yield from ("a GPU TaskManager without a GPU" for each in with_gpu if not _gpus(each))
    yield from ("a TaskManager for state has a GPU" for each in others if _gpus(each))
    offered = [f"{key}={value}" for key, value in state_configuration().items()]
    yield from ("a TaskManager does not offer state" for each in others if not {*offered} <= {*each["command"]})
    counts = [sum(int(each["deploy"]["replicas"]) for each in sort) for sort in (with_gpu, others)]
    if counts[0] != counts[1]:
        yield f"{counts[0]} TaskManagers with a GPU beside {counts[1]} others"


def _gpus(service: Service) -> list[Any]:
    devices = service.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
    return [each for each in devices if "gpu" in each["capabilities"] and each.get("device_ids")]


def _command(service: Service) -> Iterator[str]:
    words = service.get("command")
    if not isinstance(words, list):
        yield "command is not a list of words"
    elif problem := command_problem([str(word) for word in words]):
        yield problem


def _ports(service: Service, dockerfile: Dockerfile) -> Iterator[str]:
    exposed = {port for stage in dockerfile.stages for each in stage.every("EXPOSE") for port in each.words}
    for port in service.get("ports", []):
        address, _, rest = str(port).partition(":")
        if not _is_loopback(address):
            yield f"port {port} is not on loopback only"
        elif _is_ours(service) and rest.partition(":")[2] not in exposed:
            yield f"port {port} is none that the image exposes"


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _is_ours(service: Service) -> bool:
    return str(service.get("image", "")).startswith("recloop:")


def _declared(service: Service, declared: dict[str, Any]) -> Iterator[str]:
    for volume in service.get("volumes", []):
        source = str(volume).partition(":")[0]
        if not source.startswith((".", "/")) and source not in declared:
            yield f"volume {source} is not declared"


def _volumes(service: Service, dockerfile: Dockerfile) -> Iterator[str]:
    """The commands' default folder is the shared one."""
    directory = dockerfile.stages[-1].last("WORKDIR")
    assert directory is not None
    shared = PurePosixPath(directory.text) / ".recloop"
    targets = {PurePosixPath(str(volume).split(":")[1]) for volume in service.get("volumes", [])}
    if shared not in targets:
        yield f"{shared} is not shared"


def _dependencies(name: str, services: dict[str, Service], dockerfile: Dockerfile) -> Iterator[str]:
    for needed, how in services[name].get("depends_on", {}).items():
        if (target := services.get(needed)) is None:
            yield f"depends on {needed}, which is no service"
            continue
        if how["condition"] == "service_healthy" and not _is_checked(target, dockerfile):
            yield f"waits for the health of {needed}, which has no check"
        if how["condition"] == "service_completed_successfully" and target.get("restart") in _ENDLESS:
            yield f"waits for the end of {needed}, which is started again and again"
        extra = set(target.get("profiles", [])) - set(services[name].get("profiles", []))
        if extra and how.get("required", True):
            yield f"depends on {needed}, which only profile {', '.join(extra)} has"
    if _reaches(name, name, services):
        yield "waits for itself"


def _is_checked(service: Service, dockerfile: Dockerfile) -> bool:
    own = service.get("healthcheck")
    if own is not None:
        return "test" in own and not own.get("disable")
    device = {"DEVICE": expand("${DEVICE:-cpu}", service.get("build", {}).get("args", {}))}
    return any(stage.every("HEALTHCHECK") for stage in dockerfile.lineage(dockerfile.stages[-1], device))


def _reaches(start: str, goal: str, services: dict[str, Service], seen: frozenset[str] = frozenset()) -> bool:
    below = set(services.get(start, {}).get("depends_on", {})) - seen
    return goal in below or any(_reaches(each, goal, services, seen | below) for each in below)

"""The Dockerfile and the compose files against the repository, the real command line and the real settings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from job.settings.job_settings import load as load_settings
from tests.contract.docker.checks_compose import problems as compose_problems
from tests.contract.docker.checks_dockerfile import problems as dockerfile_problems
from tests.contract.docker.compose import load
from tests.contract.docker.dockerfile import DockerfileError, expand, parse
from tests.contract.docker.facts import COMPOSE, COMPOSE_CUDA, DOCKERFILE, ROOT, in_context

IGNORED = (ROOT / ".dockerignore").read_text()
TEXT = DOCKERFILE.read_text()
PLAIN, CUDA = [COMPOSE], [COMPOSE, COMPOSE_CUDA]


def test_nothing_is_wrong_with_the_dockerfile() -> None:
    assert dockerfile_problems(parse(TEXT), IGNORED) == []


@pytest.mark.parametrize("files", [PLAIN, CUDA], ids=["cpu", "cuda"])
@pytest.mark.parametrize("variables", [{}, {"RECLOOP_DATA": "./mine", "RECLOOP_TASKMANAGERS": "3"}])
def test_nothing_is_wrong_with_the_project(files: list[Path], variables: dict[str, str]) -> None:
    assert compose_problems(load(files, variables), parse(TEXT)) == []


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("ARG DEVICE=cpu", "ARG DEVICE", "ARG DEVICE has no default"),
        ("AS device-cuda", "AS device-rocm", "DEVICE=cuda does not lead"),
        ("python:3.11-slim-bookworm", "python", "names no version"),
        ("python:3.11-slim-bookworm", "python:latest", "names no version"),
        ("python:3.11-slim-bookworm", "python:3.12-slim-bookworm", "is not Python 3.11"),
        ("COPY job job", "COPY jobs jobs", "jobs is not in the build"),
        ("COPY job job", "COPY tests tests", "tests is not in the build"),
        ("COPY --from=build", "COPY --from=built", "there is no stage built"),
        ("COPY setup.py README.md ./", "COPY setup.py README.md .", "ends with /"),
        ("COPY udfs udfs", "ADD udfs udfs", "uses ADD"),
        (" && /opt/uv/bin/uv pip sync", " && && /opt/uv/bin/uv pip sync", "no shell reads this"),
        ("COPY requirements/base.txt requirements/\n", "", "requirements/base.txt was not copied"),
        ("--require-hashes requirements/base.txt", "requirements/base.txt", "without --require-hashes"),
        ("--require-hashes -r", "--require-hashes --find-links https://x.org -r", "names a host"),
        ("USER ${UID}", "USER root", "runs as root"),
        ("ARG UID=1000", "ARG UID=0", "runs as root"),
        ("USER ${UID}\n", "", "runs as root"),
        ("/opt/recloop/health.py", "/opt/recloop/healthy.py", "/opt/recloop/healthy.py is not in the image"),
        ('CMD ["recloop", "--help"]', 'CMD ["recloop", "deplyo"]', "deplyo"),
    ],
)
def test_a_fault_in_the_dockerfile_is_named(old: str, new: str, told: str) -> None:
    assert old in TEXT
    assert any(told in problem for problem in dockerfile_problems(parse(TEXT.replace(old, new)), IGNORED))


def _set(*path: str, to: object) -> Callable[[dict[str, Any]], None]:
    def change(project: dict[str, Any]) -> None:
        *folders, name = path
        for folder in folders:
            project = project[folder]
        project[name] = to

    return change


def _deploy(*words: str) -> Callable[[dict[str, Any]], None]:
    bundle = ("--set", "scoring.bundle=b")
    return _set("services", "deploy", "command", to=["recloop", "deploy", *bundle, *words])


def _healthy(name: str) -> dict[str, dict[str, str]]:
    return {name: {"condition": "service_healthy"}}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_set("services", "deploy", "image", to="recloop:latest"), "names no version"),
        (_set("services", "deploy", "image", to="recloop:0.0.1-cpu"), "not of this version and device"),
        (_set("services", "deploy", "build", "context", to="."), "there is no docker/Dockerfile"),
        (_set("services", "deploy", "build", "args", "DEVISE", to="cpu"), "no ARG DEVISE"),
        (_set("services", "deploy", "command", to="recloop deploy"), "not a list of words"),
        (_set("services", "deploy", "command", to=["flink", "run"]), "neither a role nor recloop"),
        (_deploy("--jobmanger", "x"), "No such option: --jobmanger"),
        (_deploy("--set", "log.foldr=x"), "log.foldr"),
        (_deploy("--set", "flink.parallelism=none"), "flink.parallelism"),
        (_set("services", "compact", "command", to=["recloop", "compakt"]), "compakt"),
        (_set("services", "train", "command", to=["recloop", "train"]), "Missing parameter: dataset"),
        (_set("services", "jobmanager", "command", to=["jobmanager", "--set", "rest.prot=1"]), "rest.prot"),
        (_set("services", "jobmanager", "ports", to=["8081:8081"]), "not on loopback only"),
        (_set("services", "jobmanager", "ports", to=["0.0.0.0:8081:8081"]), "not on loopback only"),
        (_set("services", "jobmanager", "ports", to=["127.0.0.1:80:80"]), "none that the image exposes"),
        (_set("services", "prometheus", "ports", to=["9090:9090"]), "not on loopback only"),
        (_set("services", "metrics-gateway", "command", to=["metrics-gateway", "x"]), "nothing may follow"),
        (_set("volumes", to={}), "volume data is not declared"),
        (_set("services", "train", "volumes", to=[]), "/recloop/.recloop is not shared"),
        (_set("services", "deploy", "depends_on", to=_healthy("taskmanagers")), "which is no service"),
        (_set("services", "deploy", "depends_on", to=_healthy("compact")), "which has no check"),
        (_set("services", "jobmanager", "depends_on", to=_healthy("taskmanager")), "waits for itself"),
        (_set("services", "deploy", "restart", to="always"), "is started again and again"),
        (_set("services", "deploy", "profiles", to=["job"]), "which only profile job has"),
    ],
)
def test_a_fault_in_the_project_is_named(change: Callable[[dict[str, Any]], None], told: str) -> None:
    project = load(PLAIN)
    change(project)
    assert any(told in problem for problem in compose_problems(project, parse(TEXT)))


def test_as_many_taskmanagers_run_as_the_job_has_subtasks() -> None:
    services = load(PLAIN, {"RECLOOP_TASKMANAGERS": "4"})["services"]
    assert services["taskmanager"]["deploy"]["replicas"] == "4"
    assert "flink.parallelism=4" in services["deploy"]["command"]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_set("services", "gpu-taskmanager", "deploy", "resources", to={}), "GPU TaskManager without a GPU"),
        (_set("services", "taskmanager", "command", to=["taskmanager"]), "does not offer state"),
        (
            _set("services", "gpu-taskmanager", "deploy", "replicas", to="2"),
            "2 TaskManagers with a GPU beside 1 others",
        ),
        (_set("services", "deploy", "environment", to={}), "GPU TaskManager that no operator asks for"),
        (_set("services", "gpu-taskmanager", "build", "args", "DEVICE", to="cpu"), "not of this version and device"),
        (_set("services", "gpu-taskmanager", "command", to=["gpu-taskmanagers"]), "neither a role nor recloop"),
        (_set("services", "deploy", "depends_on", to=_healthy("gpu")), "which is no service"),
    ],
)
def test_a_fault_in_placement_is_named(change: Callable[[dict[str, Any]], None], told: str) -> None:
    project = load(CUDA)
    change(project)
    assert any(told in problem for problem in compose_problems(project, parse(TEXT)))


def test_the_job_scores_on_the_gpu_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    services = load(CUDA, {"RECLOOP_GPU": "GPU-aaaa"})["services"]
    (device,) = services["gpu-taskmanager"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "device_ids": ["GPU-aaaa"], "capabilities": ["gpu"]}
    for name, value in services["deploy"]["environment"].items():
        monkeypatch.setenv(name, value)
    settings = load_settings(None, ["scoring.bundle=b"])
    assert (settings.scoring.device, settings.placement.scoring) == ("cuda", "gpu")


def test_taskmanagers_with_a_gpu_are_as_confined_as_the_others() -> None:
    services = load(CUDA)["services"]
    confined = ("cap_drop", "security_opt", "init", "logging", "volumes", "restart", "depends_on")
    assert [services["gpu-taskmanager"][key] for key in confined] == [services["taskmanager"][key] for key in confined]
    assert services["gpu-taskmanager"]["build"]["args"]["UID"] == services["taskmanager"]["build"]["args"]["UID"]


def test_only_the_cuda_image_asks_for_the_driver() -> None:
    file = parse(TEXT)
    asked = [stage.name for stage in file.stages for each in stage.every("ENV") if "NVIDIA" in each.text]
    assert asked == ["device-cuda"]


@pytest.mark.parametrize("text", ["", "RUN true", "FROM a\nRUNN b", "FROM a\nRUN b \\", "FROM a b", "FROM a\nRUN <<X"])
def test_what_is_no_dockerfile_is_refused(text: str) -> None:
    with pytest.raises(DockerfileError):
        parse(text)


def test_a_dockerfile_is_read_as_docker_does() -> None:
    file = parse("ARG A=1\nFROM x:${A} AS y # no\n".replace(" # no", "") + "RUN --mount=type=cache b \\\n# c\n && d\n")
    (run,) = file.stages[0].every("RUN")
    assert (run.text, run.flags, run.line) == ("b && d", (("mount", "type=cache"),), 3)
    assert expand(file.stages[0].base, file.arguments) == "x:1"


@pytest.mark.parametrize(
    ("path", "there"),
    [("job", True), ("job/cli.py", True), ("docker/health.py", True), ("docker/Dockerfile", False), ("tests", False)],
)
def test_dockerignore_lets_in_what_is_named(path: str, there: bool) -> None:
    assert in_context(path, IGNORED) is there

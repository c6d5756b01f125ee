"""The entry point: Flink's settings of a container, and what takes its place."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from job.cluster import ClusterSpec, SettingRefusedError
from job.cluster.config import flink_configuration
from tests.contract.docker.facts import script

entrypoint = script("entrypoint")


@pytest.fixture
def container(tmp_path: Path) -> Any:
    state = tmp_path / "state"
    state.mkdir()
    return entrypoint.Container("host-1", "jobmanager", state, tmp_path / "shared", "metrics-gateway")


def test_settings_are_those_of_a_local_cluster(container: Any) -> None:
    local = flink_configuration(ClusterSpec(container.state))
    settings = container.settings({})
    assert set(local) - set(settings) == {"taskmanager.host"}
    assert set(settings) <= set(local)


def test_only_addresses_ports_and_checkpoints_differ_from_a_local_cluster(container: Any) -> None:
    local = flink_configuration(ClusterSpec(container.state))
    differing = {name for name, value in container.settings({}).items() if local[name] != value}
    ports = {"rest.port", "jobmanager.rpc.port", "blob.server.port"}
    shared = {"execution.checkpointing.dir", "execution.checkpointing.savepoint-dir"}
    bound = {"rest.bind-address", "jobmanager.bind-host", "taskmanager.bind-host"}
    gateway = "metrics.reporter.prometheus.hostUrl"
    assert differing == {*ports, *shared, *bound, "rest.address", "jobmanager.rpc.address", gateway}


def test_metrics_go_to_the_gateway_if_there_is_one(container: Any) -> None:
    url = "http://metrics-gateway:9249"
    assert container.settings({})["metrics.reporter.prometheus.hostUrl"] == url
    alone = entrypoint.Container(container.name, container.job_manager, container.state, container.shared)
    assert not any(key.startswith("metrics.report") for key in alone.settings({}))


def test_the_gateway_takes_the_entry_points_place_without_flink(container: Any) -> None:
    execution = entrypoint.prepare(["metrics-gateway"], container)
    assert execution.argv[-4:] == ["--host", "0.0.0.0", "--port", "9249"]
    assert Path(execution.argv[-5]).name == "metrics_gateway.py"
    assert not container.layout.conf.exists()
    with pytest.raises(SystemExit, match="nothing may follow"):
        entrypoint.prepare(["metrics-gateway", "--port", "1"], container)


def test_given_settings_win(container: Any) -> None:
    extra = {"taskmanager.host": "here", "heartbeat.timeout": "9 s"}
    assert container.settings(extra).items() >= extra.items()


def test_a_jobmanager_gets_its_configuration_and_writes_to_the_console(container: Any) -> None:
    execution = entrypoint.prepare(["jobmanager", "--set", "heartbeat.timeout=9 s"], container)
    assert execution.argv[0].endswith("/bin/java")
    assert execution.folder.is_dir()
    conf = container.layout.conf
    assert yaml.safe_load((conf / "config.yaml").read_text())["heartbeat.timeout"] == "9 s"
    assert "appenderRef.console.ref" in (conf / "log4j.properties").read_text()


def test_a_taskmanager_has_another_id_at_every_start_and_its_health_asks_for_it(container: Any) -> None:
    ids = []
    for _ in range(2):
        argv = entrypoint.prepare(["taskmanager"], container).argv
        (told,) = [word for word in argv if word.startswith("taskmanager.resource-id=")]
        ids.append(told.partition("=")[2])
    asked = json.loads((container.state / entrypoint.HEALTH).read_text())
    assert asked == {"url": "http://jobmanager:8081/taskmanagers", "expected": ids[1]}
    assert ids[0] != ids[1]
    assert "host-1" in ids[0]


def test_any_other_command_runs_where_it_was_called_under_flinks_variables(container: Any) -> None:
    execution = entrypoint.prepare(["recloop", "deploy", "--set", "a=b"], container)
    assert execution.argv == ["recloop", "deploy", "--set", "a=b"]
    assert execution.folder == Path.cwd()
    assert execution.environment["FLINK_CONF_DIR"] == str(container.layout.conf)
    assert execution.environment["PATH"].split(":")[0] == str(Path(sys.prefix) / "bin")
    assert not (container.state / entrypoint.HEALTH).exists()


def test_every_jvm_loads_flinks_python_jar_from_the_containers_own_folder(container: Any) -> None:
    entrypoint.prepare(["recloop"], container)
    assert [path.is_symlink() for path in container.layout.lib.glob("flink-python-*.jar")] == [True]


@pytest.mark.parametrize("words", [["--set"], ["--sett", "a=b"], ["a=b"]])
def test_other_words_after_a_role_are_refused(words: list[str], container: Any) -> None:
    with pytest.raises(SystemExit, match="only --set KEY=VALUE"):
        entrypoint.prepare(["taskmanager", *words], container)


def test_a_port_may_not_be_set(container: Any) -> None:
    with pytest.raises(SettingRefusedError, match=r"rest\.port"):
        entrypoint.prepare(["jobmanager", "--set", "rest.port=80"], container)


@pytest.fixture
def one_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a container sees of the GPU it was given."""
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\necho 'GPU 0: NVIDIA A100 (UUID: GPU-aaaa)'\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.usefixtures("one_gpu")
def test_a_gpu_taskmanager_offers_its_gpu_and_its_workers_see_it(container: Any) -> None:
    execution = entrypoint.prepare(["gpu-taskmanager", "--set", "heartbeat.timeout=9 s"], container)
    told = yaml.safe_load((container.layout.conf / "config.yaml").read_text())
    assert told.items() >= {"external-resources": "gpu", "external-resource.gpu.amount": "1"}.items()
    assert told["heartbeat.timeout"] == "9 s"
    assert execution.environment["CUDA_VISIBLE_DEVICES"] == "0"
    assert "taskmanager-gpu-0-host-1" in (container.state / entrypoint.HEALTH).read_text()


@pytest.mark.usefixtures("one_gpu")
def test_a_gpu_taskmanager_without_its_gpu_does_not_start(container: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    with pytest.raises(SettingRefusedError, match="no GPU 1"):
        entrypoint.prepare(["gpu-taskmanager"], container)


def test_other_taskmanagers_offer_none(container: Any) -> None:
    execution = entrypoint.prepare(["taskmanager"], container)
    assert "external-resource" not in (container.layout.conf / "config.yaml").read_text()
    assert not any("external-resource" in word for word in execution.argv)

"""The settings and command lines that a cluster starts with."""

import json
from pathlib import Path

import pytest

from job.cluster import ClusterSpec, SettingRefusedError
from job.cluster.config import flink_configuration, render
from job.cluster.java import Java
from job.cluster.jvm import INCARNATION, class_path, environment, size_bytes, task_manager_command
from job.cluster.layout import Layout, flink_home, put_aside

JAVA_17 = Java(Path("/jdk"), 17)


@pytest.fixture
def spec(tmp_path: Path) -> ClusterSpec:
    return ClusterSpec(tmp_path, task_managers=2, rest_port=20001, rpc_port=20002, blob_port=20003)


def test_every_address_is_loopback(spec: ClusterSpec) -> None:
    configuration = flink_configuration(spec)

    addresses = {value for key, value in configuration.items() if key.endswith(("address", "host"))}
    assert addresses == {"127.0.0.1"}


def test_checkpoints_are_incremental_kept_and_in_the_state_folder(spec: ClusterSpec) -> None:
    configuration = flink_configuration(spec)

    part = "execution.checkpointing."
    assert configuration["state.backend.type"] == "rocksdb"
    assert configuration[f"{part}incremental"] == "true"
    assert configuration[f"{part}interval"] == "2 s"
    assert configuration[f"{part}num-retained"] == "3"
    assert configuration[f"{part}externalized-checkpoint-retention"] == "RETAIN_ON_CANCELLATION"
    assert configuration[f"{part}dir"] == f"file://{spec.directory}/checkpoints"


def test_ports_are_those_of_the_spec(spec: ClusterSpec) -> None:
    configuration = flink_configuration(spec)

    assert configuration["rest.port"] == "20001"
    assert configuration["jobmanager.rpc.port"] == "20002"
    assert configuration["blob.server.port"] == "20003"


def test_extra_settings_win(tmp_path: Path) -> None:
    spec = ClusterSpec(tmp_path, extra_config={"heartbeat.timeout": "9 s", "jobmanager.scheduler": "adaptive"})

    configuration = flink_configuration(spec)

    assert configuration["heartbeat.timeout"] == "9 s"
    assert configuration["jobmanager.scheduler"] == "adaptive"


def test_configuration_file_holds_one_quoted_value_a_line() -> None:
    text = render({"b": 'a "quoted": value', "a": "1"})

    lines = [line.partition(": ") for line in text.splitlines()]
    assert [(key, json.loads(value)) for key, _, value in lines] == [("a", "1"), ("b", 'a "quoted": value')]


@pytest.mark.parametrize(
    ("key", "instead"),
    [("taskmanager.memory.process.size", "managed.size"), ("rest.port", "rest_port")],
)
def test_settings_that_would_be_ignored_are_refused_by_name(tmp_path: Path, key: str, instead: str) -> None:
    with pytest.raises(SettingRefusedError, match=rf"{key}.*{instead}"):
        ClusterSpec(tmp_path, extra_config={key: "1"})


@pytest.mark.parametrize("wrong", [{"task_managers": 0}, {"rest_port": 0}, {"blob_port": 70000}])
def test_numbers_out_of_range_are_refused_by_name(tmp_path: Path, wrong: dict[str, int]) -> None:
    with pytest.raises(SettingRefusedError, match=next(iter(wrong))):
        ClusterSpec(tmp_path, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "size"), [("512m", 512 * 2**20), ("1 GB", 2**30), ("7", 7), ("64k", 65536), ("134217728b", 2**27)]
)
def test_sizes_are_read_as_flink_reads_them(text: str, size: int) -> None:
    assert size_bytes({"key": text}, "key") == size


def test_a_size_that_is_none_is_refused_by_name() -> None:
    with pytest.raises(SettingRefusedError, match="key is 'much'"):
        size_bytes({"key": "much"}, "key")


def test_the_heap_of_a_task_manager_is_the_sum_of_its_parts(spec: ClusterSpec) -> None:
    configuration = flink_configuration(spec)

    command = task_manager_command(JAVA_17, Layout(spec.directory), configuration, "taskmanager-1")

    assert f"-Xmx{(128 + 448) * 2**20}" in command
    assert f"-XX:MaxDirectMemorySize={(128 + 128) * 2**20}" in command


def test_every_start_of_a_task_manager_has_an_id_of_its_own(spec: ClusterSpec) -> None:
    command = task_manager_command(JAVA_17, Layout(spec.directory), flink_configuration(spec), "taskmanager-1")

    assert f"taskmanager.resource-id=taskmanager-1-{INCARNATION}" in command


def test_only_java_21_needs_leave_for_a_security_manager(spec: ClusterSpec) -> None:
    commands = [
        task_manager_command(Java(Path("/jdk"), version), Layout(spec.directory), flink_configuration(spec), "tm")
        for version in (17, 21)
    ]

    assert ["-Djava.security.manager=allow" in command for command in commands] == [False, True]


def test_state_folder_links_every_jar_and_flink_python(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "state")

    layout.prepare(flink_home())

    jars = class_path(layout.lib).split(":")
    assert any("flink-python" in jar for jar in jars)
    assert "flink-dist" in jars[-1]
    assert all(Path(jar).exists() for jar in jars)


def test_preparing_again_keeps_checkpoints_and_puts_logs_aside(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.prepare(flink_home())
    (layout.checkpoints / "chk-1").touch()
    layout.log("jobmanager").write_text("old")

    layout.prepare(flink_home())

    assert (layout.checkpoints / "chk-1").exists()
    assert not layout.log("jobmanager").exists()
    assert (layout.logs / "jobmanager.log.1").read_text() == "old"


def test_three_old_logs_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    for number in range(5):
        log.write_text(str(number))
        put_aside(log)

    assert [log.with_name(f"a.log.{age}").read_text() for age in (1, 2, 3)] == ["4", "3", "2"]
    assert len(list(tmp_path.iterdir())) == 3


def test_the_environment_for_flink_run_has_this_python_first(tmp_path: Path) -> None:
    variables = environment(JAVA_17, Layout(tmp_path), flink_home())

    first = Path(variables["PATH"].split(":")[0])
    assert (first / "python3").exists()
    assert variables["FLINK_CONF_DIR"] == str(tmp_path / "conf")
    assert variables["JAVA_HOME"] == "/jdk"


def test_metrics_are_pushed_to_loopback_unless_they_are_turned_off(tmp_path: Path) -> None:
    part = "metrics.reporter.prometheus."
    configuration = flink_configuration(ClusterSpec(tmp_path, metrics_port=20004))
    assert configuration[f"{part}hostUrl"] == "http://127.0.0.1:20004"
    assert configuration["metrics.reporters"] == "prometheus"
    off = flink_configuration(ClusterSpec(tmp_path, metrics_port=0))
    assert not any(key.startswith("metrics.report") for key in off)


@pytest.mark.parametrize("port", [-1, 65_536])
def test_a_port_for_metrics_that_is_none_is_refused(tmp_path: Path, port: int) -> None:
    with pytest.raises(SettingRefusedError, match="metrics_port"):
        ClusterSpec(tmp_path, metrics_port=port)

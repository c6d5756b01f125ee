"""An application's words, the meaning of its end, and the checkpoint that it begins at."""

import json
import struct
from pathlib import Path

import pytest
from typer.testing import CliRunner

from job.cli import app
from job.cluster import ClusterSpec, NotFoundError
from job.cluster.application import Application, Final, end_of, from_newest, starter
from job.cluster.application_rest import ApplicationRest
from job.cluster.errors import SettingRefusedError
from job.cluster.java import Java
from job.cluster.layout import JOB_MANAGER, Layout, flink_home
from job.cluster.plan import read_spec, write_plan
from job.cluster.uris import file_uri

APPLICATION = Application("ab" * 16, "/c/code.zip", "/c/main.py", ("--settings", "/c/s.json"), "file:///s/savepoint-1")
JAVA = Java(Path("/java/bin/java"), 17)


def spec(folder: Path, **fields: object) -> ClusterSpec:
    return ClusterSpec(folder, rest_port=1, rpc_port=2, blob_port=3, metrics_port=0, **fields)  # type: ignore[arg-type]


def planned(folder: Path, **fields: object) -> dict[str, dict[str, object]]:
    layout = Layout(folder)
    layout.conf.mkdir(parents=True)
    layout.lib.mkdir()
    write_plan(spec(folder, application=APPLICATION, **fields), JAVA, flink_home())
    return {each["name"]: each for each in json.loads(layout.plan.read_text())}


def write_checkpoint(folder: Path, number: int, *, magic: int = 0x4960672D) -> None:
    folder.mkdir(parents=True)
    (folder / "_metadata").write_bytes(struct.pack(">iiq", magic, 4, number))


def test_the_job_manager_runs_the_script_without_a_jar_and_the_cluster_ends_with_it(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    argv = plan[JOB_MANAGER]["argv"]
    assert isinstance(argv, list)
    assert argv[: len(starter(tmp_path / "checkpoints", APPLICATION.job_id))] == starter(
        tmp_path / "checkpoints", APPLICATION.job_id
    )
    text = " ".join(argv)
    assert "StandaloneApplicationClusterEntryPoint" in text
    assert "--job-classname org.apache.flink.client.python.PythonDriver --job-id " + "ab" * 16 in text
    assert "--fromSavepoint file:///s/savepoint-1 -D python.files=/c/code.zip" in text
    assert text.endswith("-py /c/main.py --settings /c/s.json")
    assert plan[JOB_MANAGER]["final"] == list(Final)
    assert "final" not in plan["taskmanager-0"]
    assert plan["taskmanager-0"]["follows"] == JOB_MANAGER
    assert read_spec(Layout(tmp_path), task_managers=1).application == APPLICATION


def test_with_zookeeper_both_job_managers_run_it_under_a_name_of_its_own(tmp_path: Path) -> None:
    plan = planned(tmp_path, high_availability=True, standby_port=4, zookeeper_port=5)
    for name in (JOB_MANAGER, "jobmanager-standby"):
        argv = plan[name]["argv"]
        assert isinstance(argv, list)
        assert argv[0] == str(JAVA.executable), "Flink itself finds the newest checkpoint"
        assert argv[-2:] == ["--settings", "/c/s.json"]
        assert plan[name]["final"] == list(Final)
    assert "follows" not in plan["taskmanager-0"], "it goes on with the other JobManager"
    assert (
        f'high-availability.cluster-id: "/{APPLICATION.job_id}"'
        in Layout(tmp_path).conf.joinpath("config.yaml").read_text()
    )


def test_without_high_availability_checkpoints_have_to_be_on_this_machine(tmp_path: Path) -> None:
    with pytest.raises(SettingRefusedError, match=r"s3://bucket/c: add --ha zookeeper"):
        planned(tmp_path, extra_config={"execution.checkpointing.dir": "s3://bucket/c"})


@pytest.mark.parametrize("state", ["file:///s/savepoint-1", None])
def test_a_job_manager_that_is_started_again_begins_at_the_newest_complete_checkpoint(
    state: str | None, tmp_path: Path
) -> None:
    command = ["java", "-cp", "x", *Application("j1", "z", "m", ("--settings", "s"), state).words]
    assert from_newest(command, tmp_path, "j1") == command
    write_checkpoint(tmp_path / "j1" / "chk-9", 9)
    write_checkpoint(tmp_path / "j1" / "chk-10", 10)
    write_checkpoint(tmp_path / "j1" / "chk-11", 11, magic=0)
    (tmp_path / "j1" / "chk-12").mkdir()
    write_checkpoint(tmp_path / "j2" / "chk-99", 99)
    words = from_newest(command, tmp_path, "j1")
    assert words.count("--fromSavepoint") == 1
    assert words[words.index("--fromSavepoint") + 1] == file_uri(tmp_path / "j1" / "chk-10")
    assert words[-4:] == command[-4:]


def test_each_end_has_a_meaning_of_its_own(tmp_path: Path) -> None:
    told = set()
    for status in (0, 163, 165):
        (tmp_path / "ended.json").write_text(json.dumps({"name": JOB_MANAGER, "exit_status": status}))
        told.add(str(end_of(Layout(tmp_path))).partition(":")[0])
    assert len(told) == len(Final)


def test_the_record_of_a_release_that_wrote_the_deployments_number_is_read(tmp_path: Path) -> None:
    planned(tmp_path)
    file = Layout(tmp_path).settings
    record = json.loads(file.read_bytes())
    record["application"]["number"] = 3
    file.write_text(json.dumps(record))
    assert read_spec(Layout(tmp_path)).application == APPLICATION


def test_the_end_names_what_the_script_or_flink_said(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert end_of(layout) is None
    layout.logs.mkdir()
    layout.ended.write_text('{"name": "jobmanager", "pid": null, "incarnation": 1, "exit_status": 163}')
    failed = "the job failed for good, or its script did (the JobManager exited with 1443)"
    assert end_of(layout) == f"{failed}: it said nothing"
    layout.log(JOB_MANAGER).write_text("2026-11-30 INFO x\norg.flink.A: b\nCaused by: java.io.IOException: no space\n")
    assert end_of(layout) == f"{failed}: java.io.IOException: no space"
    trace = 'Traceback (most recent call last):\n  File "/c/main.py", line 3, in <module>\nValueError: no such job\n'
    layout.out(JOB_MANAGER).write_text(trace)
    assert end_of(layout) == f"{failed}: ValueError: no such job (main.py:3)"
    layout.ended.write_text('{"name": "jobmanager", "exit_status": 0}')
    assert end_of(layout) == "the job was ended (its JobManager exited with 0)"


def test_a_command_for_a_cluster_that_ended_says_why(tmp_path: Path) -> None:
    (tmp_path / "ended.json").write_text('{"name": "jobmanager", "exit_status": 163}')
    result = CliRunner().invoke(app, ["status", "--dir", str(tmp_path)], env={"COLUMNS": "400"})
    assert result.exit_code == 1
    assert "the job failed for good" in result.output
    assert "recloop deploy --target application" in result.output


def test_where_no_cluster_runs_there_is_no_job_and_the_settings_are_those_to_be(tmp_path: Path) -> None:
    with ApplicationRest("http://127.0.0.1:1", spec(tmp_path, extra_config={"a.b": "c"})) as rest:
        assert rest.jobs() == []
        assert rest.configuration()["a.b"] == "c"
        with pytest.raises(NotFoundError, match="no cluster runs in"):
            rest.job("j1")

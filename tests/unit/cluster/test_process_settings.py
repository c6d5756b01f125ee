"""What a single process of a cluster has of its own: words before its command, and Flink settings."""

import json
from pathlib import Path

from job.cluster import ClusterSpec
from job.cluster.java import Java
from job.cluster.layout import Layout, flink_home
from job.cluster.plan import read_spec, write_plan
from job.cluster.ports import with_ports
from job.cluster.spec import ProcessSettings


def test_only_the_named_process_gets_them_and_they_are_remembered(tmp_path: Path) -> None:
    own = ProcessSettings(before=("env", "A=1"), extra_config={"taskmanager.host": "198.18.0.3"})
    spec = with_ports(ClusterSpec(tmp_path, task_managers=2, processes={"taskmanager-1": own}), {})
    layout = Layout(tmp_path)
    layout.conf.mkdir()

    write_plan(spec, Java(Path("/jdk"), 17), flink_home())

    assert read_spec(layout, task_managers=2) == spec
    commands = {each["name"]: each["argv"] for each in json.loads(layout.plan.read_bytes())}
    assert commands["taskmanager-1"][:3] == ["env", "A=1", "/jdk/bin/java"]
    assert "taskmanager.host=198.18.0.3" in commands["taskmanager-1"]
    for name in ("jobmanager", "taskmanager-0"):
        assert commands[name][0] == "/jdk/bin/java"
        assert "taskmanager.host=198.18.0.3" not in commands[name]

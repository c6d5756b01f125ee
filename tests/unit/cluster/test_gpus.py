"""TaskManagers with a GPU beside the others: what each is told, and which devices are refused."""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from job.cluster import ClusterSpec, GpuTaskManagers, SettingRefusedError
from job.cluster.gpus import write_discovery_script
from job.cluster.java import Java
from job.cluster.layout import METRICS_GATEWAY, PYTHON_WORKERS, Layout, flink_home
from job.cluster.plan import read_spec, write_plan
from job.cluster.ports import with_ports

LISTED = """\
GPU 0: NVIDIA A100 (UUID: GPU-aaaa)
  MIG 1g.5gb Device 0: (UUID: MIG-bbbb)
GPU 10: NVIDIA A100 (UUID: GPU-cccc)
"""


def planned(folder: Path, *devices: str, **gpus: Any) -> dict[str, dict[str, Any]]:
    """What the supervisor is told of each process of Flink's."""
    layout = Layout(folder)
    layout.conf.mkdir()
    spec = with_ports(ClusterSpec(folder, task_managers=2, gpus=GpuTaskManagers(devices, **gpus)), {})
    write_plan(spec, Java(Path("/jdk"), 17), flink_home())
    entries = json.loads(layout.plan.read_text())
    return {entry["name"]: entry for entry in entries if entry["name"] not in (METRICS_GATEWAY, PYTHON_WORKERS)}


def told(entry: dict[str, Any]) -> dict[str, str]:
    """The settings on a command line."""
    words = entry["argv"]
    pairs = [value for flag, value in pairwise(words) if flag == "-D"]
    return dict(pair.split("=", 1) for pair in pairs)


def test_without_gpus_no_task_manager_offers_anything(tmp_path: Path) -> None:
    plan = planned(tmp_path)
    assert list(plan) == ["jobmanager", "taskmanager-0", "taskmanager-1"]
    assert not [key for entry in plan.values() for key in told(entry) if key.startswith("external-resource")]


def test_each_sort_offers_its_own_resource_once(tmp_path: Path) -> None:
    offered = {name: told(entry) for name, entry in planned(tmp_path, "0").items() if name != "jobmanager"}
    assert {name: settings["external-resources"] for name, settings in offered.items()} == {
        "taskmanager-0": "state",
        "taskmanager-1": "state",
        "taskmanager-gpu-0": "gpu",
    }
    assert offered["taskmanager-0"]["external-resource.state.amount"] == "1"
    assert offered["taskmanager-gpu-0"]["external-resource.gpu.amount"] == "1"


def test_every_gpu_task_manager_sees_its_device_alone_and_the_others_are_not_touched(tmp_path: Path) -> None:
    seen = {name: entry["environment"] for name, entry in planned(tmp_path, "1", "GPU-cccc").items()}
    order = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert seen["taskmanager-gpu-0"] == {"CUDA_VISIBLE_DEVICES": "1", **order}
    assert seen["taskmanager-gpu-1"] == {"CUDA_VISIBLE_DEVICES": "GPU-cccc", **order}
    assert not seen["jobmanager"]
    assert not [name for name in seen["taskmanager-0"] if name.startswith("CUDA")]


def test_settings_of_gpu_task_managers_reach_their_jvm_and_no_other(tmp_path: Path) -> None:
    plan = planned(tmp_path, "0", extra_config={"taskmanager.memory.task.heap.size": "1g"})
    heap = {name: f"-Xmx{2**30 + 128 * 2**20}" in entry["argv"] for name, entry in plan.items()}
    assert [name for name, own in heap.items() if own] == ["taskmanager-gpu-0"]


def test_a_changed_plan_keeps_the_gpus(tmp_path: Path) -> None:
    planned(tmp_path, "0", "1", stand_in=True, extra_config={"a": "b"})
    spec = read_spec(Layout(tmp_path), task_managers=3)
    assert (spec.task_managers, spec.gpus) == (3, GpuTaskManagers(("0", "1"), stand_in=True, extra_config={"a": "b"}))


@pytest.mark.parametrize("device", ["", "0,1", "0 1", ","])
def test_a_task_manager_has_one_device(device: str) -> None:
    with pytest.raises(SettingRefusedError, match="one index or UUID"):
        GpuTaskManagers((device,))


@pytest.mark.parametrize("setting", [{"jobmanager.scheduler": "Adaptive"}, {"scheduler-mode": "reactive"}])
def test_the_adaptive_scheduler_is_refused_with_gpus_only(tmp_path: Path, setting: dict[str, str]) -> None:
    ClusterSpec(tmp_path, extra_config=setting)
    with pytest.raises(SettingRefusedError, match="ignores what slot-sharing groups ask for"):
        ClusterSpec(tmp_path, extra_config=setting, gpus=GpuTaskManagers(("0",)))


@pytest.fixture
def _nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine with two GPUs, the first of them cut up."""
    (tmp_path / "bin").mkdir()
    command = tmp_path / "bin" / "nvidia-smi"
    command.write_text(f"#!/bin/sh\n[ $1 = -L ] && printf '{LISTED}'\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}:/usr/bin:/bin")


@pytest.mark.usefixtures("_nvidia_smi")
@pytest.mark.parametrize("device", ["0", "10", "GPU-cccc", "MIG-bbbb"])
def test_a_device_that_is_listed_is_found(tmp_path: Path, device: str) -> None:
    write_discovery_script(tmp_path / "discovery", GpuTaskManagers((device,)))


@pytest.mark.usefixtures("_nvidia_smi")
@pytest.mark.parametrize("device", ["1", "GPU-bbbb"])
def test_a_device_that_is_not_listed_is_refused(tmp_path: Path, device: str) -> None:
    with pytest.raises(SettingRefusedError, match=rf"no GPU {device}: .* does not list.*--stand-in-gpus"):
        write_discovery_script(tmp_path / "discovery", GpuTaskManagers(("0", device)))


def test_a_missing_driver_is_told_and_no_stand_in_asks_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    script = tmp_path / "discovery"
    with pytest.raises(SettingRefusedError, match=r"nvidia-smi -L fails: .*not found"):
        write_discovery_script(script, GpuTaskManagers(("0",)))
    write_discovery_script(script, GpuTaskManagers(("0",), stand_in=True))

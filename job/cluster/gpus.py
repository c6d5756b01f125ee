"""TaskManagers of a second sort: each sees GPUs of its own, and Flink counts them as the external resource `gpu`.

The TaskManagers beside them offer the resource `state` instead, of which nobody sees more than its count. A job whose
scoring asks for the one and whose other operators ask for the other keeps both apart, whoever is started or restarted
first. Without GPU TaskManagers none of this is configured.
"""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from job.cluster.errors import SettingRefusedError
from job.settings.placement import GPU, STATE

ADAPTIVE_IGNORES_GPUS = (
    "the adaptive scheduler ignores what slot-sharing groups ask for, so scoring would land anywhere; "
    "leave jobmanager.scheduler and scheduler-mode at their defaults, and rescale by recloop deploy"
)

_DRIVER = "org.apache.flink.externalresource.gpu.GPUDriverFactory"
_DEVICE = re.compile(r"[\w/-]+")
_STAND_IN = "stand-in"
_DISCOVERY = f"""\
#!/bin/sh
# Tells Flink's GPU plugin which device this TaskManager has: the one that it lets CUDA see.
# The plugin's first word is how many it wants, always 1; with {_STAND_IN} as the second nobody asks whether it exists.
set -eu
device=${{CUDA_VISIBLE_DEVICES:?names no device}}
if [ "${{2:-}}" != {_STAND_IN} ]; then
    known=$(nvidia-smi -L 2>&1) || {{ echo "nvidia-smi -L fails: $known" >&2; exit 1; }}
    echo "$known" | grep -qF -e "GPU $device:" -e "(UUID: $device" || {{
        echo "CUDA_VISIBLE_DEVICES is $device, which nvidia-smi -L does not list" >&2
        exit 1
    }}
fi
echo "$device"
"""


@dataclass(frozen=True)
class GpuTaskManagers:
    """The TaskManagers that scoring may have to itself.

    Attributes:
        devices: for each TaskManager its CUDA_VISIBLE_DEVICES, one index or UUID of `nvidia-smi -L`; two may share one.
        stand_in: whether the devices are only said to be there, so that placement can be tried without any.
        extra_config: Flink settings of these TaskManagers alone, above the cluster's.

    Raises:
        SettingRefusedError: for a TaskManager without a device, or with several.
    """

    devices: tuple[str, ...] = ()
    stand_in: bool = False
    extra_config: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "devices", tuple(self.devices))
        if wrong := [device for device in self.devices if not _DEVICE.fullmatch(device)]:
            msg = f"--gpu {wrong[0]!r} names no device: give one index or UUID of nvidia-smi -L"
            raise SettingRefusedError(msg)


def gpu_configuration(script: Path, *, stand_in: bool = False) -> dict[str, str]:
    """What a TaskManager with one GPU has in its configuration beyond the others' one.

    No state is kept there, so little managed memory: only what Flink sets aside for Python workers.

    Args:
        script: where `write_discovery_script` wrote.
        stand_in: whether nobody asks if the device exists.
    """
    resource = f"external-resource.{GPU}"
    return {
        "taskmanager.memory.managed.size": "128m",
        "external-resources": GPU,
        f"{resource}.amount": "1",
        f"{resource}.driver-factory.class": _DRIVER,
        f"{resource}.param.discovery-script.path": str(script),
        **({f"{resource}.param.discovery-script.args": _STAND_IN} if stand_in else {}),
    }


def state_configuration() -> dict[str, str]:
    """What the TaskManagers beside have; the resource is a count alone, without a driver."""
    return {"external-resources": STATE, f"external-resource.{STATE}.amount": "1"}


def gpu_environment(device: str) -> dict[str, str]:
    """The variables under which a TaskManager and its Python workers see one device; indexes are nvidia-smi's."""
    return {"CUDA_VISIBLE_DEVICES": device, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def adaptive(configuration: Mapping[str, str]) -> str | None:
    """The Flink setting that asks for the adaptive scheduler, as key=value; None if none does."""
    asking = {"jobmanager.scheduler": "adaptive", "scheduler-mode": "reactive"}
    found = (f"{key}={configuration[key]}" for key in asking if configuration.get(key, "").lower() == asking[key])
    return next(found, None)


def write_discovery_script(path: Path, gpus: GpuTaskManagers) -> None:
    """Writes the script that Flink's GPU plugin runs when a TaskManager starts, and runs it once for each device.

    The plugin only warns where the script fails: the TaskManager would start without the device.

    Raises:
        SettingRefusedError: a device is not there.
    """
    path.write_text(_DISCOVERY)
    path.chmod(0o755)
    for device in gpus.devices:
        command = [str(path), "1", *([_STAND_IN] if gpus.stand_in else [])]
        asked = subprocess.run(
            command, env={**os.environ, **gpu_environment(device)}, capture_output=True, text=True, check=False
        )
        if asked.returncode:
            hint = "recloop cluster start --stand-in-gpus tries placement without any"
            msg = f"no GPU {device}: {asked.stderr.strip()} ({hint})"
            raise SettingRefusedError(msg)

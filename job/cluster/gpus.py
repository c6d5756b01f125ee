"""TaskManagers with a GPU of their own, which Flink counts as the external resource `gpu`.

The other TaskManagers offer the resource `state` instead, which is nothing but a count. A job whose scoring requests
the one and whose other operators request the other keeps both apart, in whatever order TaskManagers start or restart.
Without GPU TaskManagers none of this is configured.
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
    """The TaskManagers that are reserved for scoring.

    Attributes:
        devices: for each TaskManager its CUDA_VISIBLE_DEVICES, one index or UUID of `nvidia-smi -L`; two may share one.
        stand_in: whether the devices are only pretended, so that placement can be tried without any.
        extra_config: Flink settings of these TaskManagers alone; they override the cluster's.

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
    """Return the settings that a TaskManager with one GPU has beyond those of the others.

    No state is kept there, so little managed memory: only what Flink sets aside for Python workers.

    Args:
        script: the file that `write_discovery_script` wrote.
        stand_in: whether the script skips the check that the device exists.
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
    """Return the settings of the TaskManagers without a GPU; their resource is a count alone, without a driver."""
    return {"external-resources": STATE, f"external-resource.{STATE}.amount": "1"}


def gpu_environment(device: str) -> dict[str, str]:
    """Return the variables that show a TaskManager and its Python workers one device; indexes are nvidia-smi's."""
    return {"CUDA_VISIBLE_DEVICES": device, "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}


def adaptive(configuration: Mapping[str, str]) -> str | None:
    """Return the Flink setting that turns on the adaptive scheduler, as key=value, or None."""
    asking = {"jobmanager.scheduler": "adaptive", "scheduler-mode": "reactive"}
    found = (f"{key}={configuration[key]}" for key in asking if configuration.get(key, "").lower() == asking[key])
    return next(found, None)


def write_discovery_script(path: Path, gpus: GpuTaskManagers) -> None:
    """Write the script that Flink's GPU plugin runs when a TaskManager starts, and run it once for each device.

    The plugin only warns if the script fails, and the TaskManager would start without the device.

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

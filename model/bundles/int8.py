"""Where models in 8-bit integers can be computed."""

import torch

from model.bundles.manifest import BundleDeviceError

LARGEST = 127
"""int8 has -128 too; without it the range is the same on both sides."""


def refuse_device(device: str) -> None:
    """Refuses what cannot multiply integers exactly.

    Processors without instructions for it (VNNI) may add in 16 bits, which the largest products do not fit in.

    Raises:
        BundleDeviceError: such a device, or a GPU, whose product of int8 takes no batch below 17.
    """
    if not device.startswith("cpu"):
        msg = f"8-bit bundles are computed on the CPU, not on {device}: serve it there, or take bf16 or fp16"
        raise BundleDeviceError(msg)
    largest = torch.full((32, 64), LARGEST, dtype=torch.int8)
    if not bool((torch._int_mm(largest, largest.t()) == 64 * LARGEST**2).all()):
        msg = "this processor does not multiply 8-bit integers exactly: serve the bundle that was compressed, or bf16"
        raise BundleDeviceError(msg)

"""The check of a device for models in 8-bit integers."""

import torch

from model.bundles.manifest import BundleDeviceError

LARGEST = 127
"""The largest int8 in use; -128 is left out, so the range is symmetric."""


def refuse_device(device: str) -> None:
    """Refuse a device that cannot multiply 8-bit integers exactly.

    Processors without instructions for it (VNNI) may add in 16 bits, and the largest products do not fit into them.

    Raises:
        BundleDeviceError: it is such a processor, or a GPU, where the int8 product takes no batch below 17.
    """
    if not device.startswith("cpu"):
        msg = f"8-bit bundles are computed on the CPU, not on {device}: serve it there, or take bf16 or fp16"
        raise BundleDeviceError(msg)
    largest = torch.full((32, 64), LARGEST, dtype=torch.int8)
    if not bool((torch._int_mm(largest, largest.t()) == 64 * LARGEST**2).all()):
        msg = "this processor does not multiply 8-bit integers exactly: serve the bundle that was compressed, or bf16"
        raise BundleDeviceError(msg)

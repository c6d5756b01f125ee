"""The group of processes that train one model together, seen from one of them; alone it is a group of one.

Every operation is collective: all processes call it, in the same order. The processes that `recloop` starts itself on
one machine find each other through a file, and listen on loopback alone. Those of a torchrun find each other through
its store, which listens on all interfaces.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from model.errors import TrainingError
from model.training.torchrun import Member


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """This process and the others that it trains with.

    Attributes:
        device: where this process computes.
        rank: number of this process, from 0; process 0 leads: it reports progress and writes checkpoints.
        size: number of processes.
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """True if this process is the one that reports progress and writes checkpoints."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """Wrap a module so that a backward pass leaves the mean of all processes' gradients."""
        if self.size == 1:
            return module
        own = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(module, device_ids=own, forward_sync_buffers=False, gradient_as_bucket_view=True)

    def sum(self, tensor: Tensor) -> Tensor:
        """Return the sum of all processes' tensors, on the CPU."""
        if self.size == 1:
            return tensor.cpu()
        total = tensor.to(self.device, copy=True)
        dist.all_reduce(total)
        return total.cpu()

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """Return every process's tensor, by rank, on the CPU; all have one shape."""
        if self.size == 1:
            return [tensor.cpu()]
        own = tensor.to(self.device)
        found = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(found, own)
        return [each.cpu() for each in found]

    def as_led(self, *, yes: bool) -> bool:
        """Return the answer of process 0, in all processes."""
        return bool(self.gather(torch.tensor([yes], dtype=torch.uint8))[0].item())


def alone(device: str) -> ProcessGroup:
    """Return a group of this process only."""
    return ProcessGroup(torch.device(device))


@contextmanager
def of_torchrun(member: Member, device: str) -> Iterator[ProcessGroup]:
    """Join the other processes of a torchrun, and leave them at the end.

    Raises:
        ValueError: this process has no GPU of its own.
    """
    check_devices(device, member.local_rank + 1)
    own = _own_device(device, member.local_rank)
    store, *_ = next(dist.rendezvous("env://", member.rank, member.size))
    # The store outlives the processes: restarted, they would take the ended ones' addresses from it, and wait for them.
    store = dist.PrefixStore(f"attempt-{member.restarts}", store)
    with _joined(own, rank=member.rank, size=member.size, store=store) as group:
        yield group


@contextmanager
def by_file(rendezvous: Path, rank: int, size: int, device: str) -> Iterator[ProcessGroup]:
    """Join the processes of this machine that name the same new file, and leave them at the end."""
    interfaces = psutil.net_if_addrs().items()
    loopback = next(name for name, addresses in interfaces if any(each.address == "127.0.0.1" for each in addresses))
    for library in ("GLOO", "NCCL"):
        os.environ[f"{library}_SOCKET_IFNAME"] = loopback
    with _joined(_own_device(device, rank), rank=rank, size=size, init_method=f"file://{rendezvous}") as group:
        yield group


@contextmanager
def _joined(
    device: torch.device, *, rank: int, size: int, init_method: str | None = None, store: dist.Store | None = None
) -> Iterator[ProcessGroup]:
    """Join the processes that meet at a URL or in a store; one of the two is given."""
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=init_method, store=store, rank=rank, world_size=size)
    try:
        yield ProcessGroup(device, rank, size)
    finally:
        dist.destroy_process_group()


def check_devices(device: str, processes: int) -> None:
    """Check that each process of this machine has a GPU of its own, if they compute on GPUs.

    Raises:
        ValueError: there are fewer GPUs than processes, or the device is one certain GPU.
    """
    if not device.startswith("cuda") or processes == 1:
        return
    if device != "cuda":
        msg = f"{processes} processes take a GPU each: give device cuda, not {device}"
        raise TrainingError(msg)
    if (there := torch.cuda.device_count()) < processes:
        msg = f"{processes} processes take a GPU each, and there are {there}: start fewer, or give device cpu"
        raise TrainingError(msg)


def _own_device(device: str, local_rank: int) -> torch.device:
    return torch.device(f"cuda:{local_rank}" if device == "cuda" else device)

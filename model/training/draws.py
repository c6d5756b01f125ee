"""Random draws of a training, beside its windows: dropout, which each process draws for itself, and negatives."""

import numpy as np
import torch
from torch import Tensor

from model.networks.losses import draw_negatives


def random_state(device: torch.device) -> Tensor:
    """Return the state of torch's own generators, the CPU's and then the device's. -> uint8 (S,)."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    return torch.cat(states)


def set_random_state(device: torch.device, state: Tensor) -> None:
    """Restore torch's own generators; a state of the CPU's alone leaves the GPU's as it is."""
    of_cpu = torch.get_rng_state().numel()
    torch.set_rng_state(state[:of_cpu])
    if device.type == "cuda" and state.numel() > of_cpu:
        torch.cuda.set_rng_state(state[of_cpu:], device)


def draw_apart(seed: int, rank: int, epoch: int = 0) -> None:
    """Seed torch's own generators so that they draw otherwise than those of other processes and epochs."""
    torch.manual_seed(int(np.random.SeedSequence((seed, rank, epoch)).generate_state(1)[0]))


class Negatives:
    """The items that a step's targets are compared with: the same for all processes.

    The generator starts from the state of torch's own one, so without dropout the training of one process, which draws
    in the middle of its steps, draws the same items.
    """

    def __init__(self, items: int, count: int, device: torch.device) -> None:
        """Make the generator on `device`.

        Of n = `items` items each step draws `count`; 0 leaves the draw to the step itself.
        """
        self._items = items
        self._count = count
        state = torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()
        self._random = torch.Generator(device).set_state(state)

    def draw(self) -> Tensor | None:
        """Draw those of the next step, int64 (S,); None leaves the draw to the step."""
        if not self._count:
            return None
        return draw_negatives(self._items, self._count, self._random.device, self._random)

    @property
    def state(self) -> Tensor:
        """The random state that decides all later draws, uint8."""
        return self._random.get_state()

    @state.setter
    def state(self, state: Tensor) -> None:
        if state.numel() == self._random.get_state().numel():  # else another kind of device drew them
            self._random.set_state(state)

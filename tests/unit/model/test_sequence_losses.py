"""The sampled softmax is the full one, seen through fewer items."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from model.networks.losses import draw_negatives, full_softmax, negatives_for, next_item_loss, sampled_softmax
from model.networks.sasrec import SASRec, SASRecConfig

pytestmark = pytest.mark.heavy
CPU = torch.device("cpu")


def a_model(items: int, dim: int = 8) -> SASRec:
    torch.manual_seed(0)
    model = SASRec(SASRecConfig(items=items, dim=dim, history_length=6), np.ones(items + 1, dtype=np.int64))
    torch.nn.init.normal_(model.item.weight.detach())
    model.eval()
    return model


def positions(items: int, count: int, dim: int = 8) -> tuple[Tensor, Tensor]:
    return torch.randn(count, dim), torch.randint(1, items + 1, (count,))


def test_with_all_items_drawn_the_sampled_loss_is_the_full_one() -> None:
    model = a_model(50)
    hidden, wanted = positions(50, 20)
    hidden.requires_grad_()
    drawn = draw_negatives(50, 50, CPU)
    full, sampled = full_softmax(model, hidden, wanted), sampled_softmax(model, hidden, wanted, drawn)
    assert sampled.item() == pytest.approx(full.item(), abs=1e-5)
    (of_full,), (of_sampled,) = (torch.autograd.grad(loss, hidden) for loss in (full, sampled))
    assert torch.allclose(of_full, of_sampled, atol=1e-5)


def test_few_drawn_items_stand_for_all() -> None:
    model = a_model(2_000)
    hidden, wanted = positions(2_000, 200)
    hidden = hidden / 4
    full = full_softmax(model, hidden, wanted).item()
    drawn = [sampled_softmax(model, hidden, wanted, draw_negatives(2_000, 200, CPU)).item() for _ in range(20)]
    assert np.mean(drawn) == pytest.approx(full, rel=0.01)


def test_every_item_is_drawn_as_often() -> None:
    torch.manual_seed(0)
    drawn = torch.cat([draw_negatives(7, 3, CPU) for _ in range(4_000)])
    counts = torch.bincount(drawn, minlength=8)
    assert counts[0] == 0
    assert bool(((counts[1:] / len(drawn) - 1 / 7).abs() < 0.01).all())


@pytest.mark.parametrize(
    ("items", "asked", "drawn"), [(20_000, None, 0), (20_001, None, 4_096), (100, 0, 0), (100, 256, 100)]
)
def test_negatives_are_drawn_where_the_catalogue_is_large(items: int, asked: int | None, drawn: int) -> None:
    assert negatives_for(items, asked) == drawn


class LargestTensor(TorchDispatchMode):  # type: ignore[misc]  # torch is untyped here
    """Hears of every tensor that is made, backward included, and keeps the largest size but those to leave out."""

    def __init__(self, leave_out: set[tuple[int, ...]]) -> None:
        super().__init__()
        self.numbers: int = 0
        self._leave_out = leave_out

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, Tensor) and tuple(tensor.shape) not in self._leave_out:
                self.numbers = max(self.numbers, tensor.numel())
        return made


def largest_in_a_step(items: int, negatives: int) -> int:
    model = a_model(items)
    windows = torch.randint(1, items + 1, (30, 7))  # 180 positions
    weights = {(items + 1, 8), (items + 1,)}  # and their gradients: once, not once per position
    largest = LargestTensor(weights)
    with largest:
        next_item_loss(model, windows, negatives).backward()
    return largest.numbers


@pytest.mark.parametrize("items", [5_000, 50_000])
def test_the_sampled_loss_holds_positions_times_negatives(items: int) -> None:
    assert largest_in_a_step(items, negatives=64) <= 180 * (64 + 1)


def test_the_full_loss_holds_positions_times_items() -> None:
    assert largest_in_a_step(5_000, negatives=0) == 180 * 5_000

"""Training on GPUs; what needs none of it is in test_training_loop.py and test_training_together.py."""

from dataclasses import replace

import pytest
import torch

from model.networks.sequence import SequenceConfig
from model.training.train import TrainConfig, train
from tests.unit.model.test_sequences import CONFIGS
from tests.unit.model.test_training import cycles

pytestmark = [pytest.mark.gpu, pytest.mark.heavy]
SETTINGS = TrainConfig(epochs=10, batch_size=12, learning_rate=2e-2, negatives=6)


def curve_of(config: SequenceConfig, settings: TrainConfig) -> list[float]:
    losses: list[float] = []
    train(cycles(24, 9), config, settings, lambda done: losses.append(done.loss))
    return losses


@pytest.mark.parametrize("name", CONFIGS)
def test_mixed_precision_trains_about_the_same(name: str) -> None:
    config, on_gpu = CONFIGS[name], replace(SETTINGS, device="cuda")
    mixed, full = (curve_of(config, replace(on_gpu, precision=name)) for name in ("mixed", "full"))
    assert mixed != full
    assert mixed == pytest.approx(full, rel=0.05)
    assert mixed[-1] < mixed[0] / 2


def test_a_gpu_trains_what_the_cpu_trains() -> None:
    config, settings = CONFIGS["sasrec"], replace(SETTINGS, negatives=0)
    assert curve_of(config, replace(settings, device="cuda")) == pytest.approx(curve_of(config, settings), rel=0.02)


def test_two_gpus_give_the_loss_curve_of_one() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("there is one GPU only")
    config, settings = CONFIGS["sasrec"], replace(SETTINGS, device="cuda")
    assert curve_of(config, replace(settings, processes=2)) == pytest.approx(curve_of(config, settings), rel=0.02)

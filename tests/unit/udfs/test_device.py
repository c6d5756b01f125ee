"""The device: whatever the way to it, answers are those of the model; a missing one is refused or replaced."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from model.bundles.torchscript import load_script, save_script
from model.networks.sasrec import SASRec, SASRecConfig
from tests.unit.udfs.default_rules import DEVICE
from udfs.scoring.device import Array, DeviceMissingError, OnCpu, OnDevice, Runner, open_device
from udfs.scoring.scoring_rules import DeviceRules

pytestmark = pytest.mark.heavy
ITEMS, LENGTH = 40, 6
NOWHERE = "cuda:99"
needs_gpu = pytest.mark.gpu


@pytest.fixture(scope="module")
def script() -> bytes:
    torch.manual_seed(0)
    return save_script(
        SASRec(SASRecConfig(items=ITEMS, history_length=LENGTH, dim=16, k=10), np.ones(ITEMS + 1, dtype=np.int64))
    )


def batch(rows: int) -> tuple[Array, ...]:
    draw = np.random.default_rng(rows)
    history = draw.integers(0, ITEMS + 1, (rows, LENGTH))
    years_s = np.full((rows, LENGTH), 1e8, dtype=np.float32)
    return history, np.ones_like(years_s), years_s, draw.integers(0, ITEMS + 1, (rows, 3))


def asked(runner: Runner, script: bytes, rows: int) -> tuple[Array, ...]:
    return runner.run(load_script(script, runner.name), *batch(rows))


def directly(script: bytes, rows: int) -> tuple[Array, ...]:
    with torch.inference_mode():
        return tuple(answer.numpy() for answer in load_script(script, "cpu")(*map(torch.from_numpy, batch(rows))))


@pytest.mark.parametrize(
    "runner",
    [
        OnCpu(),
        OnDevice(torch.device("cpu")),  # the steps that a GPU takes, without pinned memory and stream
        pytest.param(replace(DEVICE, name="cuda"), marks=needs_gpu),
    ],
    ids=["cpu", "steps of a device", "cuda"],
)
@pytest.mark.parametrize("rows", [1, 7])
def test_answers_are_the_models_own(runner: Runner | DeviceRules, script: bytes, rows: int) -> None:
    opened = open_device(runner) if isinstance(runner, DeviceRules) else runner
    (items, scores), (own_items, own_scores) = asked(opened, script, rows), directly(script, rows)
    assert np.array_equal(items, own_items)
    assert scores == pytest.approx(own_scores, abs=1e-4)


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])
def test_an_answer_stays_as_it_is_when_the_device_runs_again(device: str, script: bytes) -> None:
    runner = OnDevice(torch.device(device))
    module = load_script(script, runner.name)
    first = runner.run(module, *batch(4))
    kept = [answer.copy() for answer in first]
    runner.run(module, *(array[::-1].copy() for array in batch(4)))
    assert all(map(np.array_equal, first, kept))


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=needs_gpu)])
def test_half_precision_gives_float32_scores_near_the_exact_ones(device: str, precision: str, script: bytes) -> None:
    _, scores = asked(OnDevice(torch.device(device), precision), script, 5)
    _, exact = directly(script, 5)
    assert scores.dtype == np.float32
    assert scores == pytest.approx(exact, abs=0.05)
    assert not np.array_equal(scores, exact), "it was computed in half precision"


def test_a_missing_device_is_refused_with_what_is_wrong_and_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    with pytest.raises(DeviceMissingError, match=r"cuda:99: .+ \(CUDA_VISIBLE_DEVICES is 3\).*device_missing=cpu"):
        open_device(replace(DEVICE, name=NOWHERE))


def test_a_missing_device_is_replaced_by_the_cpu_where_that_may_be_and_logged(
    caplog: pytest.LogCaptureFixture, script: bytes
) -> None:
    with caplog.at_level(logging.WARNING):
        runner = open_device(replace(DEVICE, name=NOWHERE, missing="cpu"))
    assert "scoring on the CPU" in caplog.text
    assert all(map(np.array_equal, asked(runner, script, 3), directly(script, 3)))


@needs_gpu
def test_a_call_is_queued_on_a_stream_of_its_own() -> None:
    used: list[torch.cuda.Stream] = []

    def call(history: torch.Tensor) -> tuple[torch.Tensor, ...]:
        used.append(torch.cuda.current_stream())
        return (history + 1,)

    (answer,) = open_device(replace(DEVICE, name="cuda")).run(call, np.arange(3))
    assert answer.tolist() == [1, 2, 3]
    assert used[0] != torch.cuda.default_stream()

"""A model behind a gate answers as the model itself does, or fails as the gate says."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from job.drills.gate import Gate, Misbehavior
from job.drills.gated_model import write_gated
from model.bundles.answers import BundleAnswerError, Expected, Faults, check_answers
from model.bundles.bundle import Bundle, load_module
from tests.unit.model.tiny_bundle import write_tiny

pytestmark = pytest.mark.heavy


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    made = Gate(tmp_path / "gate")
    made.open()
    return made


@pytest.fixture
def plain(tmp_path: Path) -> Bundle:
    return write_tiny(tmp_path / "plain", "1")


@pytest.fixture
def gated(plain: Bundle, gate: Gate, tmp_path: Path) -> Bundle:
    return write_gated(plain, tmp_path / "gated", gate.path)


def answers(bundle: Bundle) -> Sequence[torch.Tensor]:
    history = torch.tensor([[0, 1], [2, 1]])
    zeros = torch.zeros(2, 2)
    found: Sequence[torch.Tensor] = load_module(bundle)(history, zeros, zeros, torch.zeros(2, 1, dtype=torch.int64))
    return found


def test_through_an_open_gate_the_model_answers_as_it_is(plain: Bundle, gated: Bundle) -> None:
    assert all(torch.equal(mine, its) for mine, its in zip(answers(gated), answers(plain), strict=True))


@pytest.mark.parametrize("misbehavior", [Misbehavior.NOT_A_NUMBER, Misbehavior.UNKNOWN_ITEMS])
def test_an_answer_that_breaks_the_contract_is_found_out(misbehavior: Misbehavior, gated: Bundle, gate: Gate) -> None:
    gate.set(misbehavior)
    assert set(faults(gated)) == {0, 1}
    gate.open()
    assert not faults(gated)


def test_an_answer_of_another_shape_is_none(gated: Bundle, gate: Gate) -> None:
    gate.set(Misbehavior.WRONG_SHAPE)
    with pytest.raises(BundleAnswerError):
        faults(gated)


def faults(bundle: Bundle) -> Faults:
    exclude = torch.zeros(2, 1, dtype=torch.int64).numpy()
    expected = Expected(items=bundle.manifest.items, k=bundle.manifest.k)
    return check_answers(tuple(each.numpy() for each in answers(bundle)), exclude, expected)


def test_a_model_that_raises_does_so_until_the_gate_opens(gated: Bundle, gate: Gate) -> None:
    gate.set(Misbehavior.RAISES)
    with pytest.raises(torch.jit.Error, match="the drill has the model fail"):
        answers(gated)
    gate.open()
    assert answers(gated)


def test_a_model_hangs_until_the_gate_opens(gated: Bundle, gate: Gate) -> None:
    ended: list[str] = []

    def call() -> None:
        try:
            answers(gated)
        except RuntimeError as error:
            ended.append(str(error))

    gate.shut()
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(0.5)
    assert thread.is_alive()
    gate.open()
    thread.join(60)
    assert len(ended) == 1, "who hung fails"
    assert answers(gated)

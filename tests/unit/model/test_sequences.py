"""Sequence models as they are served: as TorchScript, in batches, and step by step."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from model.bundles.torchscript import load_script, save_script
from model.bundles.trial import STEP_TOLERANCE
from model.evaluation.evaluate import evaluate, find_targets
from model.networks.gru import GRUConfig
from model.networks.linear_recurrence import LinearRecurrenceConfig
from model.networks.recommender import StepRecommender
from model.networks.sasrec import SASRecConfig
from model.networks.sasrec_steps import SteppingSASRecConfig
from model.networks.sequence import SequenceConfig, SequenceRecommender
from model.recommenders.kinds import Size, TrainingSet, kind_named
from model.recommenders.learn import learn
from model.training.train import TrainConfig, train
from tests.unit.model.test_training import ITEMS, cycles

pytestmark = pytest.mark.heavy
BLOCK = 50
LENGTH = 9
CONFIGS: dict[str, SequenceConfig] = {
    "gru": GRUConfig(items=ITEMS, history_length=LENGTH, dim=16, state=24, dropout=0.0, k=10),
    "linear": LinearRecurrenceConfig(items=ITEMS, history_length=LENGTH, dim=16, state=24, dropout=0.0, k=10),
    "sasrec": SASRecConfig(items=ITEMS, history_length=LENGTH, dim=16, layers=1, heads=1, dropout=0.0, k=10),
    "hstu": SASRecConfig(items=ITEMS, history_length=LENGTH, dim=16, dropout=0.0, k=10, block="hstu"),
    "stepping": SteppingSASRecConfig(items=ITEMS, history_length=2 * BLOCK - 1, dim=16, dropout=0.0, k=10),
    "stepping-hstu": SteppingSASRecConfig(
        items=ITEMS, history_length=2 * BLOCK - 1, dim=16, dropout=0.0, k=10, block="hstu"
    ),
}
STEPPING = ("gru", "linear", "stepping", "stepping-hstu")
Answer = tuple[Tensor, Tensor]

histories = st.lists(st.integers(1, ITEMS), max_size=14)
batches = st.lists(histories, min_size=1, max_size=4)


def build(name: str) -> SequenceRecommender:
    """An untrained model whose weights are all large enough to show a mistake."""
    torch.manual_seed(3)
    model = CONFIGS[name].build(np.arange(ITEMS + 1))
    model.eval()
    for weight in model.parameters():
        weight.data += 0.2 * torch.randn(weight.shape)
    return model


MODELS = {name: build(name) for name in CONFIGS}


@pytest.fixture(scope="module")
def served() -> dict[str, nn.Module]:
    return {name: load_script(save_script(model), "cpu") for name, model in MODELS.items()}


def padded(rows: list[list[int]], length: int) -> Tensor:
    return torch.tensor([[0] * (length - len(row)) + row for row in rows], dtype=torch.int64).view(len(rows), length)


def ask(model: nn.Module, history: Tensor, exclude: tuple[int, ...] = ()) -> Answer:
    ones = torch.ones(history.shape)
    with torch.inference_mode():
        items, scores = model(history, ones, ones, excluding(exclude, len(history)))
    return items, scores


def excluding(exclude: tuple[int, ...], rows: int) -> Tensor:
    return torch.tensor(exclude, dtype=torch.int64).repeat(rows, 1)


def stepped(model: nn.Module, state: Tensor, history: Tensor) -> Tensor:
    ones = torch.ones(len(history))
    with torch.inference_mode():
        for item in history.unbind(1):
            state = model.step(state, item, ones, ones)
    return state


def scored(model: nn.Module, state: Tensor, exclude: tuple[int, ...] = ()) -> Answer:
    with torch.inference_mode():
        items, scores = model.score(state, excluding(exclude, len(state)))
    return items, scores


def assert_same(left: Answer, right: Answer) -> None:
    """Equal scores, and equal items where no other score is as near."""
    assert torch.allclose(left[1], right[1], rtol=0, atol=STEP_TOLERANCE)
    apart = left[1].diff(dim=1).abs() > 2 * STEP_TOLERANCE
    clear = torch.nn.functional.pad(apart, (1, 0), value=True) & torch.nn.functional.pad(apart, (0, 1), value=False)
    assert torch.equal(left[0][clear], right[0][clear])


@pytest.mark.parametrize("name", CONFIGS)
@settings(max_examples=10, deadline=None)
@given(rows=batches, length=st.integers(14, 17))
def test_torchscript_batches_and_padding_change_no_score(
    served: dict[str, nn.Module], name: str, rows: list[list[int]], length: int
) -> None:
    alone = [ask(MODELS[name], padded([row], len(row))) for row in rows]
    items, scores = (torch.cat(part) for part in zip(*alone, strict=True))
    assert_same(ask(served[name], padded(rows, length)), (items, scores))


@pytest.mark.parametrize("name", CONFIGS)
def test_excluded_items_are_never_returned(served: dict[str, nn.Module], name: str) -> None:
    items, scores = ask(served[name], padded([[1, 2], []], 3), exclude=(4, 5, 6))
    assert not {4, 5, 6} & set(items.flatten().tolist())
    assert (items > 0).sum(1).tolist() == [ITEMS - 3] * 2
    assert bool(torch.isinf(scores[items == 0]).all())


@pytest.mark.parametrize("name", CONFIGS)
def test_without_history_the_popular_come_first(name: str) -> None:
    model = CONFIGS[name].build(np.arange(ITEMS + 1)).eval()
    for length in (0, 4):
        assert ask(model, padded([[]], length))[0][0].tolist() == list(range(ITEMS, ITEMS - 10, -1))


@pytest.mark.parametrize("name", ["sasrec", "hstu"])
def test_the_newest_state_needs_no_other_of_the_last_block(name: str) -> None:
    history, model = padded([[1, 2, 3, 4], [5], []], LENGTH), MODELS[name]
    with torch.inference_mode():
        assert torch.allclose(model.newest(history, 2), model.hidden(history)[:, -2:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", STEPPING)
def test_steps_equal_the_whole_history_over_block_boundaries(served: dict[str, nn.Module], name: str) -> None:
    """Histories grow to 99 items; then the oldest 50 go, and the state is made anew from what is left."""
    model = served[name]
    drawn = torch.randint(1, ITEMS + 1, (2, 3 * BLOCK + 2), generator=torch.Generator().manual_seed(0))
    kept, state = drawn[:, :0], model.initial_state(2)
    for item in drawn.split(1, dim=1):
        kept = torch.cat([kept, item], 1)
        if kept.size(1) == 2 * BLOCK:
            kept = kept[:, BLOCK:]
            state = stepped(model, model.initial_state(2), kept)
        else:
            state = stepped(model, state, item)
        assert_same(scored(model, state), ask(model, kept))


@pytest.mark.parametrize("name", STEPPING)
@settings(max_examples=5, deadline=None)
@given(rows=batches, length=st.integers(14, 17))
def test_steps_equal_the_whole_history_in_any_batch(
    served: dict[str, nn.Module], name: str, rows: list[list[int]], length: int
) -> None:
    model, history = served[name], padded(rows, length)
    state = stepped(model, model.initial_state(len(rows)), history)
    assert_same(scored(model, state, exclude=(1, 2)), ask(model, history, exclude=(1, 2)))


@pytest.mark.parametrize("name", ["stepping", "stepping-hstu"])
def test_a_full_state_takes_no_further_item(served: dict[str, nn.Module], name: str) -> None:
    model, history = served[name], torch.ones(1, 2 * BLOCK - 1, dtype=torch.int64)
    full = model.state_after(history, history.float())
    assert torch.equal(stepped(model, full, torch.zeros(1, 1, dtype=torch.int64)), full)
    with pytest.raises(torch.jit.Error, match="a state holds no more items"):
        stepped(model, full, history[:, :1])


@pytest.mark.parametrize("name", CONFIGS)
def test_a_bundle_shows_whether_it_steps(served: dict[str, nn.Module], name: str) -> None:
    methods = ("initial_state", "step", "score")
    assert [hasattr(served[name], method) for method in methods] == [name in STEPPING] * 3


class Newest(StepRecommender):
    """The least that a model with steps must have: it returns the newest item."""

    def __init__(self) -> None:
        super().__init__(ITEMS, 2)
        self.register_buffer("start", torch.zeros(1))
        self.register_buffer("each", torch.arange(ITEMS + 1.0).unsqueeze(0))

    def advance(self, state: Tensor, item: Tensor, weight: Tensor) -> Tensor:
        return item.unsqueeze(1).to(state.dtype)

    def scores_of(self, state: Tensor) -> Tensor:
        return torch.where(self.each == state, 1.0, float("-inf"))


def test_a_model_that_only_steps_scores_whole_histories_too() -> None:
    items, _ = ask(load_script(save_script(Newest()), "cpu"), padded([[3, 7], [5], []], 4))
    assert items.tolist() == [[7, 0], [5, 0], [0, 0]]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("negatives", [None, 6])
def test_the_planted_pattern_is_learned(name: str, negatives: int | None) -> None:
    log = cycles(users=24, length=9)
    training = TrainConfig(epochs=15, batch_size=12, learning_rate=2e-2, negatives=negatives)
    model = train(log.before(7), CONFIGS[name], training)
    assert evaluate(model, find_targets(log, 7, 6)).known.ndcg_10 > 0.9


@pytest.mark.parametrize("name", ["gru", "linear-recurrence", "sasrec", "hstu"])
def test_every_kind_of_sequence_model_is_learned_from_a_log(name: str) -> None:
    log, kind = cycles(users=6, length=5), kind_named(name)
    size = Size(history_length=0, dim=8, k=10)
    found = learn(kind, TrainingSet(log, log.vocabulary), size, TrainConfig(epochs=1), lambda _: None)
    assert ask(found.recommender, padded([[1, 2, 3]], 5))[0].shape == (1, 10)
    assert found.neighbors(4).shape == (ITEMS + 1, 4)
    assert hasattr(found.recommender, "step") == (kind.sized(size).history_length == 99)

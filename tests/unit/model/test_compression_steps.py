"""The models that each method makes: the same answers where nothing is lost, and the contract in any case."""

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from model.bundles.bundle import BundleDeviceError, Compression, load_module
from model.bundles.int8 import refuse_device
from model.bundles.torchscript import load_script, save_script
from model.compression.distill import student_of
from model.compression.half import halved
from model.compression.methods import CompressionError, refuse_kind, refuse_unused, steps_of
from model.compression.prune import cut
from model.compression.quantize import product, quantized, rounded
from model.compression.rebuild import Sized, rebuilt
from model.compression.teacher import Distillation, distillation_loss, train_student, windows_of
from model.evaluation.evaluate import evaluate, find_targets
from model.networks.recommender import Recommender
from model.networks.sequence import SequenceRecommender
from model.recommenders.ease import EASE
from model.recommenders.hybrid import Hybrid
from model.training.train import TrainConfig, train
from tests.unit.model.bundles import written
from tests.unit.model.test_sequences import CONFIGS, LENGTH, MODELS, STEPPING, ask, assert_same, padded, scored, stepped
from tests.unit.model.test_training import ITEMS, cycles

pytestmark = pytest.mark.heavy
COUNTS = np.ones(ITEMS + 1, dtype=np.int64)
ROWS = [[1, 2, 3, 4, 5, 6], [7], [], [3, 3, 9]]
KINDS = {
    "gru": "gru",
    "linear": "linear-recurrence",
    "sasrec": "sasrec",
    "hstu": "hstu",
    "stepping": "sasrec",
    "stepping-hstu": "hstu",
}


def lowered(name: str, method: str) -> Recommender:
    return quantized(MODELS[name]) if method == "int8" else halved(MODELS[name], torch.bfloat16)


@pytest.fixture(
    scope="module", params=[(name, method) for name in CONFIGS for method in ("int8", "bf16")], ids="-".join
)
def pair(request: pytest.FixtureRequest) -> tuple[str, Recommender, nn.Module]:
    """A model in fewer bits, as it is and as it is served."""
    name, method = request.param
    model = lowered(name, method)
    return name, model, load_script(save_script(model), "cpu")


def test_fewer_bits_served_are_the_same_as_eager_and_near_the_whole(pair: tuple[str, Recommender, nn.Module]) -> None:
    name, model, served = pair
    (items, scores), (_, eager) = ask(served, padded(ROWS, LENGTH)), ask(model, padded(ROWS, LENGTH))
    assert items.dtype is torch.int64
    assert scores.dtype is torch.float32
    assert torch.allclose(scores, eager, rtol=0, atol=1e-5)
    with torch.inference_mode():
        whole = MODELS[name].scores(padded(ROWS, LENGTH), torch.ones(4, LENGTH), torch.ones(4, LENGTH))
    spread = whole[:, 1:].std(1, keepdim=True)
    assert bool(((whole.gather(1, items) - scores).abs() < 0.1 * spread).all())


@pytest.mark.parametrize("method", ["int8", "bf16"])
@pytest.mark.parametrize("name", STEPPING)
def test_steps_in_fewer_bits_lead_where_the_whole_history_does(name: str, method: str) -> None:
    model, history = lowered(name, method), padded(ROWS, LENGTH)
    state = stepped(model, model.initial_state(len(ROWS)), history)
    assert state.dtype is torch.float32
    (_, whole), (_, kept) = ask(model, history), scored(model, state)
    assert torch.allclose(whole, kept, rtol=0, atol=1e-5 if method == "int8" else 0.05)


@pytest.mark.parametrize("name", CONFIGS)
def test_in_8_bits_nobodys_scores_depend_on_the_batch(name: str) -> None:
    model = lowered(name, "int8")
    alone = [ask(model, padded([row], LENGTH + 3)) for row in ROWS]
    items, scores = (torch.cat(part) for part in zip(*alone, strict=True))
    assert_same(ask(model, padded(ROWS, LENGTH)), (items, scores))


def test_a_product_in_8_bits_is_off_by_no_more_than_its_rounding() -> None:
    random = torch.Generator().manual_seed(0)
    x, weight = torch.randn(5, 3, 64, generator=random), torch.randn(32, 64, generator=random)
    whole, step = rounded(weight)
    found = product(x, whole, step, torch.ones(32))
    # Each of 64 terms is off by half a step of either factor.
    bound = 64 * (x.abs().amax() * step.max() + weight.abs().amax() * x.abs().amax() / 127) / 2
    assert torch.allclose(found, F.linear(x, weight, torch.ones(32)), rtol=0, atol=float(bound) / 8)
    assert torch.equal((whole.float() * step.unsqueeze(1)).abs().amax(1), weight.abs().amax(1))


def test_8_bits_are_refused_where_they_are_not_computed_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_device("cpu")
    with pytest.raises(BundleDeviceError, match="not on cuda:0"):
        refuse_device("cuda:0")
    exact = torch._int_mm
    monkeypatch.setattr(torch, "_int_mm", lambda a, b: exact(a, b).clamp(max=2**15 - 1))
    with pytest.raises(BundleDeviceError, match="does not multiply"):
        refuse_device("cpu")


def test_an_8_bit_bundle_is_refused_on_a_gpu_before_it_is_loaded(tmp_path: Path) -> None:
    compression = Compression(how="prune+int8", hash="h", name="n", version="1", ndcg_lost=0.0, faster=1.0)
    bundle = written(tmp_path / "b", quantized(MODELS["gru"]), "gru", compression)
    assert ask(load_module(bundle), padded(ROWS, 9))[0].shape == (4, 10)
    with pytest.raises(BundleDeviceError, match="on the CPU"):
        load_module(bundle, "cuda")


@pytest.mark.parametrize("name", CONFIGS)
def test_a_bundles_model_is_rebuilt_pruned_or_not(name: str, tmp_path: Path) -> None:
    sized = Sized(CONFIGS[name], MODELS[name])
    for number, model in enumerate((sized, cut(sized, 0.5, batches_of(sized)))):
        bundle = written(tmp_path / str(number), model.model, KINDS[name], length=sized.config.history_length)
        found = rebuilt(bundle).layers
        assert_same(ask(found.model, padded(ROWS, LENGTH)), ask(model.model, padded(ROWS, LENGTH)))
        assert found.config.build(COUNTS).state_dict().keys() == model.model.state_dict().keys()


def test_of_a_hybrid_the_gru_is_compressed_and_put_back(tmp_path: Path) -> None:
    ease = EASE(torch.rand(ITEMS + 1, ITEMS + 1), COUNTS, 10, 0.9)
    hybrid = Hybrid(ITEMS, 10, {ease: 1.0, MODELS["gru"]: 0.6}).eval()
    found = rebuilt(written(tmp_path / "hybrid", hybrid, "hybrid"))
    same, quick = (
        load_script(save_script(found.whole(m)), "cpu") for m in (found.layers.model, lowered("gru", "int8"))
    )
    assert_same(ask(same, padded(ROWS, LENGTH)), ask(hybrid, padded(ROWS, LENGTH)))
    (_, before), (_, after) = ask(hybrid, padded(ROWS, LENGTH)), ask(quick, padded(ROWS, LENGTH))
    assert 0 < float((before - after).abs().max()) < 0.2


def test_what_has_no_float32_weights_or_another_shape_is_not_rebuilt(tmp_path: Path) -> None:
    with pytest.raises(CompressionError, match="no float32"):
        rebuilt(written(tmp_path / "half", halved(MODELS["sasrec"], torch.bfloat16), "sasrec"))
    with pytest.raises(CompressionError, match="ease has no layers"):
        rebuilt(written(tmp_path / "ease", MODELS["sasrec"], "ease"))


@pytest.mark.parametrize("name", ["gru", "linear", "sasrec"])
def test_units_that_nothing_hears_of_are_the_ones_cut_out(name: str) -> None:
    """Half the units are made mute; without them every score is as it was, and the tensors are smaller."""
    whole = muted(name)
    less = cut(whole, 0.5, batches_of(whole))
    assert_same(ask(less.model, padded(ROWS, LENGTH)), ask(whole.model, padded(ROWS, LENGTH)))
    numbers = [sum(w.numel() for n, w in m.model.named_parameters() if "item" not in n) for m in (less, whole)]
    assert numbers[0] < 0.7 * numbers[1]


def muted(name: str) -> Sized:
    """A model of which every second state unit, head and channel goes nowhere."""
    config = (
        CONFIGS[name] if name != "sasrec" else type(CONFIGS[name])(items=ITEMS, history_length=LENGTH, dim=16, k=10)
    )
    torch.manual_seed(1)
    model = config.build(COUNTS).eval()
    outgoing = {"project": 1, "project_out": 1, "feed.2": 1, "weight_hh_l0": 1}
    with torch.no_grad():
        for path, weight in model.named_parameters():
            if weight.dim() == 2 and any(part in path for part in outgoing) and "project_in" not in path:
                width = 8 if "project_out" in path and name == "sasrec" else 1  # a whole head
                weight.view(weight.size(0), -1, width)[:, ::2] = 0.0
    return Sized(config, model)


def batches_of(sized: Sized) -> list[torch.Tensor]:
    return list(torch.from_numpy(windows_of(cycles(12, 9), sized.config.history_length, 0).draw()).split(6))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_student_is_smaller_and_knows_the_items(name: str) -> None:
    teacher = Sized(CONFIGS[name], MODELS[name])
    student = student_of(teacher, 0.5, seed=0).model
    assert torch.equal(student.item.weight, teacher.model.item.weight)
    assert sum(w.numel() for w in student.parameters()) < sum(w.numel() for w in teacher.model.parameters())


def test_a_student_learns_from_the_teacher_alone() -> None:
    log = cycles(users=24, length=9)
    settings = TrainConfig(epochs=9, batch_size=12, learning_rate=2e-2)
    teacher = train(log.before(7), CONFIGS["sasrec"], settings)
    student = Sized(CONFIGS["sasrec"], CONFIGS["sasrec"].build(log.counts()))
    targets = find_targets(log, 7, LENGTH)
    before = evaluate(student.model, targets)
    train_student(
        student, Distillation(keep=0.5, teacher=teacher, training=log.before(7), settings=settings, share=1.0)
    )
    assert before.known.ndcg_10 < 0.7
    assert evaluate(student.model, targets).known.ndcg_10 > 0.9


def test_a_training_of_ten_steps_in_all_is_a_training() -> None:
    """Of these the rate rises in one, over which torch would divide by zero."""
    student = student_of(Sized(CONFIGS["gru"], MODELS["gru"]), 0.5, seed=0)
    before = student.model.project.weight.clone()
    settings = TrainConfig(epochs=10, batch_size=64)
    train_student(student, Distillation(keep=0.5, teacher=MODELS["gru"], training=cycles(2, 9), settings=settings))
    assert not torch.equal(student.model.project.weight, before)


def test_who_equals_the_teacher_has_nothing_to_learn_from_it() -> None:
    model = MODELS["sasrec"]
    distillation = Distillation(keep=0.5, teacher=model, training=cycles(2, 9), settings=TrainConfig(), share=1.0)
    windows = torch.from_numpy(windows_of(distillation.training, LENGTH, 0).draw()[:8])
    assert abs(distillation_loss(model, windows, distillation).item()) < 1e-6
    assert distillation_loss(another(model), windows, distillation).item() > 0.01


def test_negatives_that_are_all_items_compare_like_all_items() -> None:
    model = MODELS["gru"]
    distillation = Distillation(keep=0.5, teacher=another(model), training=cycles(2, 9), settings=TrainConfig())
    windows = torch.from_numpy(windows_of(distillation.training, LENGTH, 0).draw()[:8])
    losses = [distillation_loss(model, windows, distillation, negatives).item() for negatives in (0, ITEMS)]
    assert losses[0] == pytest.approx(losses[1])


def another(model: SequenceRecommender) -> SequenceRecommender:
    torch.manual_seed(9)
    made = next(CONFIGS[name] for name, known in MODELS.items() if known is model).build(COUNTS)
    for weight in made.parameters():
        weight.data += 0.2 * torch.randn(weight.shape)
    made.eval()
    return made


@pytest.mark.parametrize(
    ("method", "message"), [("zip", "no way 'zip'"), ("int8+prune", "nothing can follow int8"), ("", "no way ''")]
)
def test_methods_that_do_not_exist_are_refused(method: str, message: str) -> None:
    with pytest.raises(CompressionError, match=message):
        steps_of(method)


def test_options_of_a_training_are_refused_where_nothing_trains() -> None:
    asked = {"keep": None, "epochs": 3}
    refuse_unused(["int8", "prune", "bf16"], asked)
    refuse_unused(["int8"], {"keep": None, "epochs": None})
    with pytest.raises(CompressionError, match="epochs is for prune, distill only"):
        refuse_unused(["int8", "bf16"], asked)


def test_kinds_without_layers_are_refused_with_the_reason() -> None:
    with pytest.raises(CompressionError, match="only layers can be pruned"):
        refuse_kind("als")

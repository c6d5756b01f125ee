"""What a model says is used only where it is an answer: drawn faults, each told by name."""

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.bundles.answers import Array, BundleAnswerError, Expected, check_answers
from model.bundles.bundle import Bundle
from model.bundles.manifest import BundleCorruptError
from model.bundles.trial import try_bundle
from model.networks.top_k import masked_top_k
from model.recommenders.popularity import Popularity
from tests.unit.model.bundles import written
from tests.unit.model.faulty_models import FAULTS, Faulty
from tests.unit.model.test_training import ITEMS

pytestmark = pytest.mark.heavy


def answers(scores: Array, exclude: Array, k: int) -> tuple[Array, ...]:
    items, best = masked_top_k(torch.from_numpy(scores), torch.from_numpy(exclude), k)
    return items.numpy(), best.numpy()


@st.composite
def sound(draw: st.DrawFn) -> tuple[tuple[Array, ...], Array, Expected]:
    """Right answers to some histories, whatever is excluded."""
    items, rows = draw(st.integers(1, 40)), draw(st.integers(1, 6))
    k = draw(st.integers(1, items))
    seed = draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    exclude = random.integers(0, items + 1, (rows, draw(st.integers(1, 2 * items))))
    scores = random.normal(size=(rows, items + 1)).round(1).astype(np.float32)  # with ties
    return answers(scores, exclude, k), exclude, Expected(items, k)


@settings(max_examples=200, deadline=None)
@given(sound())
def test_right_answers_pass(said: tuple[tuple[Array, ...], Array, Expected]) -> None:
    assert check_answers(*said) == {}


@settings(max_examples=300, deadline=None)
@given(sound(), st.data())
def test_one_changed_number_spoils_its_row_alone(
    said: tuple[tuple[Array, ...], Array, Expected], data: st.DataObject
) -> None:
    (items, scores), exclude, expected = said
    row = data.draw(st.integers(0, len(items) - 1))
    given_places = np.flatnonzero(items[row])
    if not given_places.size:
        return
    place = data.draw(st.sampled_from(given_places.tolist()))
    wrong = data.draw(st.sampled_from(["nan", "inf", "-inf", "negative", "beyond", "zero", "twice", "excluded"]))
    if wrong in {"nan", "inf", "-inf"}:
        scores[row, place] = float(wrong)
    elif wrong == "twice" and len(given_places) > 1:
        items[row, place] = items[row, given_places[given_places != place][0]]
    elif wrong == "excluded" and exclude[row].any():
        items[row, place] = exclude[row].max()
    else:
        numbers = {"negative": -data.draw(st.integers(1, 2**62)), "zero": 0}
        items[row, place] = numbers.get(wrong, expected.items + data.draw(st.integers(1, 2**62)))
    assert set(check_answers((items, scores), exclude, expected)) == {row}


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "one answer"])
def test_a_bundle_is_refused_by_name_and_fault(fault: str, tmp_path: Path) -> None:
    bundle = written(tmp_path / "b", Faulty(ITEMS, fault), "faulty")
    with pytest.raises(BundleAnswerError, match=r"the bundle tiny 1 is refused: the model (gave|fails)"):
        try_bundle(bundle)


def test_a_sound_bundle_passes_its_trial(tmp_path: Path) -> None:
    try_bundle(written(tmp_path / "b", Popularity(np.arange(ITEMS + 1), 6), "popularity"))


def test_a_file_that_is_no_model_is_refused(tmp_path: Path) -> None:
    bundle = written(tmp_path / "b", Popularity(np.arange(ITEMS + 1), 6), "popularity")
    (bundle.path / "model.pt").write_bytes(b"no model")
    with pytest.raises(BundleCorruptError, match="no TorchScript that can be loaded"):
        try_bundle(rehashed(bundle))


def rehashed(bundle: Bundle) -> Bundle:
    """The bundle as its files are now."""
    import hashlib
    import json

    manifest = bundle.path / "manifest.json"
    content = json.loads(manifest.read_text())
    content["files"] = {
        name: hashlib.sha256((bundle.path / name).read_bytes()).hexdigest() for name in content["files"]
    }
    manifest.write_text(json.dumps(content))
    return Bundle.load(bundle.path)


def test_the_check_is_a_small_part_of_a_call() -> None:
    """Of the cheapest scoring there is, the top 30 of 10,000 items: a model computes scores besides."""
    random = np.random.default_rng(0)
    scores = random.normal(size=(64, 10_001)).astype(np.float32)
    exclude = random.integers(0, 10_001, (64, 128))
    torch.set_num_threads(1)
    said = answers(scores.copy(), exclude, 30)
    calls, checks = [], []
    for _ in range(9):
        fresh, started = scores.copy(), time.perf_counter()
        answers(fresh, exclude, 30)
        calls.append(time.perf_counter() - started)
        started = time.perf_counter()
        assert check_answers(said, exclude, Expected(10_000, 30)) == {}
        checks.append(time.perf_counter() - started)
    print(f"check {min(checks) * 1e6:.0f} us, top 30 alone {min(calls) * 1e6:.0f} us a batch of 64")
    assert min(checks) < 3 * min(calls)

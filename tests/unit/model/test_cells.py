"""Items in cells: each is there once, scores are exact, answers are whole, and with enough cells they are the best."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model.bundles.manifest import BundleRecallError, Compression, Manifest, Training, refuse_recall
from model.bundles.torchscript import load_script, save_script
from model.compression.cells import recall
from model.compression.methods import CompressionError, steps_of
from model.networks.cells import CELL, CellItems, cells_of, k_means
from model.networks.sasrec import SASRec, SASRecConfig
from model.recommenders import neighbors
from model.recommenders.neighbors import nearest_neighbors

pytestmark = pytest.mark.heavy
ITEMS, DIM, K = 1_000, 16, 10


def tastes(items: int = ITEMS, dim: int = DIM, seed: int = 0) -> Tensor:
    """Vectors around a few dozen centres, as trained embeddings are; (n + 1, D)."""
    random = torch.Generator().manual_seed(seed)
    centres = torch.randn(40, dim, generator=random)
    of_item = torch.randint(40, (items + 1,), generator=random)
    return centres[of_item] + 0.3 * torch.randn(items + 1, dim, generator=random)


def model() -> SASRec:
    torch.manual_seed(0)
    made = SASRec(SASRecConfig(items=ITEMS, history_length=8, dim=DIM, k=K), np.ones(ITEMS + 1, dtype=np.int64))
    made.item.weight.data = tastes()
    made.eval()
    return made


def celled(probes: int) -> SASRec:
    made = model()
    made.item = CellItems(made.item, made.bias, probes)
    return made


def asked(made: SASRec, exclude: Tensor | None = None) -> tuple[Tensor, Tensor]:
    history = torch.randint(1, ITEMS + 1, (20, 8), generator=torch.Generator().manual_seed(1))
    ones = torch.ones(history.shape)
    with torch.inference_mode():
        items, scores = made(history, ones, ones, history if exclude is None else exclude.expand(20, -1))
    return items, scores


@given(st.integers(1, 400), st.integers(1, 5))
@settings(max_examples=15, deadline=None)
def test_each_vector_is_in_one_cell(count: int, dim: int) -> None:
    cells = cells_of(torch.randn(count, dim, generator=torch.Generator().manual_seed(count)))
    assert cells.size(1) == CELL
    assert sorted(cells[cells > 0].tolist()) == [*range(1, count + 1)]


def test_vectors_of_one_cluster_are_together() -> None:
    vectors = torch.tensor([[0.0, 0.0], [9.0, 9.0]]).repeat(50, 1)
    nearest = k_means(vectors, 2)
    assert nearest[0] != nearest[1]
    assert (nearest[::2] == nearest[0]).all()
    assert (nearest[1::2] == nearest[1]).all()


def test_embeddings_and_all_scores_are_those_of_the_table() -> None:
    exact, made = model(), celled(2)
    item = torch.arange(1, ITEMS + 1)
    hidden = torch.randn(3, DIM)
    assert torch.equal(made.item(item), exact.item(item))
    assert torch.allclose(made.logits(hidden)[:, 1:], exact.logits(hidden)[:, 1:], atol=1e-5)
    assert not made.item(torch.tensor([0])).any()


def test_with_all_cells_the_answer_is_the_exact_one() -> None:
    (items, scores), (exact_items, exact_scores) = asked(celled(10_000)), asked(model())
    assert torch.equal(items, exact_items)
    assert torch.allclose(scores, exact_scores, atol=1e-5)


def test_a_few_cells_find_most_of_the_best_and_more_find_more() -> None:
    exact, _ = asked(model())
    found = [recall(exact, asked(celled(probes))[0]) for probes in (1, 4, 12)]
    assert found == sorted(found)
    assert found[-1] > 0.9
    assert found[0] < 1


@pytest.mark.parametrize("probes", [0, 1, 3])
def test_answers_are_as_long_as_exact_ones_however_much_is_excluded(probes: int) -> None:
    for excluded in (torch.arange(1, ITEMS - 4), torch.arange(1, 501), torch.tensor([0])):
        items, scores = asked(celled(probes), excluded.unsqueeze(0))
        exact, _ = asked(model(), excluded.unsqueeze(0))
        assert torch.equal((items > 0).sum(1), (exact > 0).sum(1))
        assert not np.isin(items[items > 0].numpy(), excluded.numpy()).any()
        assert torch.equal(torch.isinf(scores), items == 0)
        assert (scores[:, 1:] <= scores[:, :-1]).all()
        assert all(len(set(row)) == len(row) for row in (row[row > 0].tolist() for row in items))


def test_torchscript_gives_the_same_and_scores_all_items_with_no_probes() -> None:
    made = celled(4)
    script = load_script(save_script(made), "cpu")
    (items, scores), (own_items, own_scores) = asked(script), asked(made)
    assert torch.equal(items, own_items)
    assert torch.allclose(scores, own_scores, atol=1e-5)
    script.item.probes = 0
    assert torch.equal(asked(script)[0], asked(model())[0])


def test_neighbours_of_very_many_items_are_mostly_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = tastes(3_000)
    exact = nearest_neighbors(vectors, 10)
    monkeypatch.setattr(neighbors, "_COMPARED_WITH_ALL", 100)
    monkeypatch.setattr(neighbors, "_CELLS", 12)
    found = nearest_neighbors(vectors, 10)
    assert found.shape == exact.shape
    assert not found[0].any()
    assert not (found[1:] == np.arange(1, len(found))[:, None]).any()
    assert recall(torch.from_numpy(exact), torch.from_numpy(found)) > 0.9


def test_nothing_follows_cells() -> None:
    assert steps_of("distill+cells") == ("distill", "cells")
    with pytest.raises(CompressionError, match="nothing can follow cells"):
        steps_of("cells+int8")


def test_a_bundle_that_misses_too_much_is_refused() -> None:
    compression = Compression(how="cells", hash="h", name="n", version="1", ndcg_lost=0.0, faster=2.0, recall=0.949)
    manifest = Manifest(
        name="big",
        version="2",
        created_at="now",
        history_length=1,
        k=1,
        training=Training(dataset="d", fingerprint="f", cut_off=1, behaviors=1),
        compression=compression,
    )
    with pytest.raises(BundleRecallError, match=r"big 2 finds 94.9% of the ten best items, and 95.0% is asked for"):
        refuse_recall(manifest)
    refuse_recall(manifest, 0.9)
    refuse_recall(replace(manifest, compression=None))
    refuse_recall(replace(manifest, compression=replace(compression, recall=None)))

"""A bundle serves exactly what was trained, or is refused by name."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.bundles.bundle import (
    FILES,
    MANIFEST,
    Bundle,
    BundleContractError,
    BundleCorruptError,
    BundleMissingError,
    Contents,
    Manifest,
    Training,
    load_module,
    write_bundle,
)
from model.bundles.torchscript import save_script
from model.networks.recommender import Recommender
from model.networks.sasrec import SASRec, SASRecConfig
from model.recommenders.neighbors import nearest_neighbors
from model.recommenders.popularity import Popularity

ITEMS = 30
CONFIG = SASRecConfig(items=ITEMS, history_length=5, dim=16, k=10)
COUNTS = np.arange(ITEMS + 1)
Batch = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]

histories = st.lists(st.integers(1, ITEMS), max_size=8)


def a_sasrec() -> SASRec:
    torch.manual_seed(0)
    model = SASRec(CONFIG, COUNTS)
    torch.nn.init.normal_(model.item.weight[1:].detach())
    model.eval()
    return model


def write(path: Path, model: Recommender) -> Bundle:
    ids = tuple(f"i{n}" for n in range(ITEMS))
    contents = Contents(
        model=save_script(model),
        vocabulary=ids,
        titles=tuple(f"Item {n}" for n in range(ITEMS)),
        groups=("",) * ITEMS,
        neighbors=nearest_neighbors(torch.eye(ITEMS + 1), 4),
        popularity=(("i3", 5), ("i1", 2)),
    )
    training = Training(dataset="tiny", fingerprint="f", cut_off=1, behaviors=2)
    manifest = Manifest(
        name="tiny", version="1", created_at="2024-01-01T00:00:00+00:00", history_length=5, k=10, training=training
    )
    return write_bundle(path, contents, manifest)


@pytest.fixture(scope="module")
def model() -> SASRec:
    return a_sasrec()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, model: SASRec) -> Bundle:
    return write(tmp_path_factory.mktemp("bundle") / "tiny", model)


@pytest.fixture(scope="module")
def served(bundle: Bundle) -> Iterator[torch.nn.Module]:
    with torch.inference_mode():
        yield load_module(bundle)


def batch_of(rows: list[list[int]], exclude: list[list[int]], length: int = 8) -> Batch:
    history = torch.tensor([[0] * (length - len(row)) + row for row in rows]).view(len(rows), length)
    width = max(map(len, exclude), default=0)
    excluded = torch.tensor([row + [0] * (width - len(row)) for row in exclude], dtype=torch.int64)
    ones = torch.ones(history.shape)
    return history, ones, ones, excluded.view(len(rows), width)


def close(left: torch.Tensor, right: torch.Tensor) -> bool:
    return bool(torch.allclose(left, right, rtol=0, atol=1e-5))


@settings(max_examples=15, deadline=None)
@given(st.lists(histories, min_size=1, max_size=5))
def test_torchscript_equals_eager(model: SASRec, served: torch.nn.Module, rows: list[list[int]]) -> None:
    batch = batch_of(rows, [[]] * len(rows))
    (items, scores), (served_items, served_scores) = model(*batch), served(*batch)
    assert close(scores, served_scores)
    assert torch.equal(items, served_items)


@settings(max_examples=15, deadline=None)
@given(st.lists(histories, min_size=2, max_size=5), st.integers(8, 12))
def test_batching_and_padding_change_no_score(served: torch.nn.Module, rows: list[list[int]], length: int) -> None:
    _, together = served(*batch_of(rows, [[]] * len(rows), length))
    alone = [served(*batch_of([row], [[]], len(row)))[1] for row in rows]
    assert close(together, torch.cat(alone))


@settings(max_examples=15, deadline=None)
@given(histories, st.sets(st.integers(1, ITEMS)))
def test_excluded_items_are_never_returned(served: torch.nn.Module, row: list[int], exclude: set[int]) -> None:
    items, scores = served(*batch_of([row], [sorted(exclude)]))
    returned = items[0][items[0] > 0].tolist()
    assert not exclude & set(returned)
    assert len(returned) == len(set(returned)) == min(CONFIG.k, ITEMS - len(exclude))
    assert bool(torch.isinf(scores[items == 0]).all())


def test_without_history_the_popular_come_first(served: torch.nn.Module) -> None:
    items, _ = served(*batch_of([[]], [[]]))
    assert items[0].tolist() == list(range(ITEMS, ITEMS - CONFIG.k, -1))


def test_only_the_newest_items_count(served: torch.nn.Module) -> None:
    _, long = served(*batch_of([[9, 8, 7, 1, 2, 3, 4, 5]], [[]]))
    _, short = served(*batch_of([[1, 2, 3, 4, 5]], [[]], 5))
    assert close(long, short)


def test_popularity_keeps_the_contract_too(tmp_path: Path) -> None:
    served = load_module(write(tmp_path / "popular", Popularity(COUNTS, 3)))
    items, scores = served(*batch_of([[1], []], [[30], [29, 28]]))
    assert items.tolist() == [[29, 28, 27], [30, 27, 26]]
    assert scores.tolist() == [[29, 28, 27], [30, 27, 26]]


def test_a_bundle_says_what_it_holds(bundle: Bundle) -> None:
    assert (bundle.manifest.items, bundle.manifest.neighbors) == (ITEMS, 4)
    assert bundle.index_of["i0"] == 1
    assert bundle.titles[0] == "Item 0"
    assert bundle.neighbors.shape == (ITEMS + 1, 4)
    assert bundle.popularity == (("i3", 5), ("i1", 2))
    assert len(bundle.hash) == 64


@pytest.mark.parametrize("name", FILES)
def test_a_corrupt_file_is_refused_by_name(name: str, tmp_path: Path) -> None:
    write(tmp_path / "b", Popularity(COUNTS, 3))
    file = tmp_path / "b" / name
    file.write_bytes(file.read_bytes() + b" ")
    with pytest.raises(BundleCorruptError, match=f"{name} is corrupt"):
        Bundle.load(tmp_path / "b")


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path / "b", Popularity(COUNTS, 3))
    (tmp_path / "b" / "model.pt").unlink()
    with pytest.raises(BundleMissingError, match=r"model\.pt is missing"):
        Bundle.load(tmp_path / "b")


def test_no_bundle_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(BundleMissingError, match="recloop train"):
        Bundle.load(tmp_path)


def test_another_contract_version_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "b", Popularity(COUNTS, 3))
    manifest = tmp_path / "b" / MANIFEST
    changed = {**msgspec.json.decode(manifest.read_bytes()), "contract_version": 2}
    manifest.write_bytes(msgspec.json.encode(changed))
    with pytest.raises(BundleContractError, match="contract version 2"):
        Bundle.load(tmp_path / "b")


def test_light_readers_import_no_torch() -> None:
    code = (
        "import sys, model.bundles.bundle, model.records, model.actions;"
        "import model.datasets.prepare, model.datasets.interactions;"
        "import model.registry.registry;"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("heavy", ["torch", "pyflink", "matplotlib"])
def test_the_command_starts_without_what_few_of_its_commands_need(heavy: str) -> None:
    code = f"import sys, job.cli; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0

"""`recloop compress` from a trained bundle to bundles that can be served, and what it refuses."""

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
import torch
from typer.testing import CliRunner

from job.cli import app
from model.bundles.bundle import MANIFEST, Bundle, load_module
from model.compression.compress import PICTURE, REPORT, Compressing, compress
from model.compression.outcomes import Report
from model.compression.steps import Shrinking
from model.datasets.generate import Synthetic, generate
from model.datasets.interactions import load_interactions
from model.datasets.prepared import Dataset
from model.evaluation.evaluate import evaluate, find_targets
from model.fit import FitConfig, fit
from model.folders import MARKER
from model.pictures import NO_PICTURES
from model.recommenders.kinds import Size
from model.training.train import TrainConfig

NOW = datetime(2024, 1, 1, tzinfo=UTC)
METHODS = ("int8", "prune", "distill+bf16", "cells")
TRAINED = TrainConfig(epochs=3, learning_rate=1e-2)
WANTED = Compressing(methods=METHODS, max_loss=1.0, shrinking=Shrinking(epochs=1), created_at=NOW)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return generate(Synthetic(60, 40, 1_500, tastes=3), tmp_path_factory.mktemp("data") / "tiny", "tiny")


@pytest.fixture(scope="module")
def bundle(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    size = Size(history_length=12, dim=16, k=10)
    config = FitConfig(recommender="gru", size=size, settings=TRAINED)
    return fit(dataset, tmp_path_factory.mktemp("models") / "tiny", config, NOW).bundle


@pytest.fixture(scope="module")
def compressed(dataset: Dataset, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Path]:
    out = tmp_path_factory.mktemp("compressed") / "out"
    return compress(bundle, dataset, out, WANTED), out


@pytest.mark.parametrize("method", METHODS)
def test_each_method_gives_a_bundle_that_keeps_the_contract(
    compressed: tuple[Report, Path], bundle: Bundle, method: str
) -> None:
    made = Bundle.load(compressed[1] / method)
    assert (made.vocabulary, made.titles, made.popularity) == (bundle.vocabulary, bundle.titles, bundle.popularity)
    assert (made.manifest.k, made.manifest.history_length) == (bundle.manifest.k, bundle.manifest.history_length)
    module = load_module(made)
    history = torch.tensor([[0, 0, 3], [1, 2, 3], [0, 0, 0]])
    with torch.inference_mode():
        items, scores = module(history, torch.ones(3, 3), torch.ones(3, 3), torch.tensor([[1, 2]] * 3))
        state = module.step(module.initial_state(3), history[:, 2], torch.ones(3), torch.ones(3))
    assert items.shape == scores.shape == (3, bundle.manifest.k)
    assert not {1, 2} & set(items.flatten().tolist())
    assert state.dtype is scores.dtype is torch.float32


@pytest.mark.parametrize("method", METHODS)
def test_a_bundle_says_what_it_was_compressed_from(
    compressed: tuple[Report, Path], bundle: Bundle, method: str
) -> None:
    (outcome,) = (o for o in compressed[0].outcomes if o.way == method)
    manifest = Bundle.load(compressed[1] / method).manifest
    assert (manifest.name, manifest.version) == ("tiny", f"20240101T000000-{method.replace('+', '-')}")
    found = manifest.compression
    assert found is not None
    assert (found.how, found.hash, found.name, found.version) == (method, bundle.hash, "tiny", bundle.manifest.version)
    assert found.ndcg_lost == pytest.approx(outcome.ndcg_lost, abs=1e-6)


def test_what_is_reported_is_what_the_bundles_do(
    compressed: tuple[Report, Path], dataset: Dataset, bundle: Bundle
) -> None:
    report, out = compressed
    log = load_interactions(dataset).with_vocabulary(bundle.vocabulary)
    targets = find_targets(log, bundle.manifest.training.cut_off, 12)
    assert report.before.ndcg_10 == pytest.approx(bundle.manifest.metrics["ndcg_10_everyone"], abs=1e-6)
    for outcome in report.outcomes:
        made = Bundle.load(out / outcome.way)
        found = evaluate(load_module(made), targets).everyone
        assert (outcome.figures.ndcg_10, outcome.figures.hr_10) == pytest.approx((found.ndcg_10, found.hr_10))
        assert outcome.ndcg.difference == pytest.approx(found.ndcg_10 - report.before.ndcg_10)
        assert made.manifest.metrics["ndcg_10_everyone"] == pytest.approx(found.ndcg_10, abs=1e-6)
        assert outcome.figures.model_bytes == (out / outcome.way / "model.pt").stat().st_size
    assert msgspec.json.decode((out / REPORT).read_bytes(), type=Report) == report
    assert (out / PICTURE).read_bytes().startswith(b"\x89PNG")


def test_only_cells_have_a_recall_and_registration_checks_it(compressed: tuple[Report, Path], tmp_path: Path) -> None:
    report, out = compressed
    assert [outcome.way for outcome in report.outcomes if outcome.recall is not None] == ["cells"]
    manifest = Bundle.load(out / "cells").manifest
    assert manifest.compression is not None
    assert manifest.compression.recall is not None
    assert manifest.compression.recall == pytest.approx(report.outcomes[-1].recall, abs=1e-6)
    assert report.outcomes[-1].recall is not None
    assert report.outcomes[-1].recall > 0.9
    registering = ["models", "register", str(out / "cells"), "--registry", str(tmp_path / "registry")]
    assert CliRunner().invoke(app, [*registering, "--least-recall", "0.5"]).exit_code == 0


def test_items_in_cells_cannot_be_compressed_again(
    compressed: tuple[Report, Path], dataset: Dataset, tmp_path: Path
) -> None:
    arguments = ["compress", str(compressed[1] / "cells"), str(dataset.path), "--out", str(tmp_path / "out")]
    refused([*arguments, "--how", "int8"], "has its items in cells, so nothing can be made of it; compress tiny")


def test_pruning_makes_the_tensors_smaller(compressed: tuple[Report, Path]) -> None:
    weights = load_module(Bundle.load(compressed[1] / "prune")).state_dict()
    assert weights["gru.weight_hh_l0"].shape == (3 * 16, 16)
    assert weights["project.weight"].shape == (16, 16)


def test_only_what_loses_no_more_than_the_bound_is_written(
    compressed: tuple[Report, Path], dataset: Dataset, bundle: Bundle, tmp_path: Path
) -> None:
    losses = {outcome.way: outcome.ndcg_lost for outcome in compressed[0].outcomes}
    least, most = min(METHODS, key=losses.__getitem__), max(METHODS, key=losses.__getitem__)
    bound = (losses[least] + losses[most]) / 2
    report = compress(bundle, dataset, tmp_path / "out", replace(WANTED, methods=(least, most), max_loss=bound))
    assert [outcome.refused for outcome in report.outcomes] == [False, True]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted([least, REPORT, PICTURE, MARKER])


def test_if_every_method_is_refused_nothing_is_left_behind(dataset: Dataset, bundle: Bundle, tmp_path: Path) -> None:
    arguments = ["compress", str(bundle.path), str(dataset.path), "--how", "int8", "--max-loss", "-1"]
    refused([*arguments, "--out", str(tmp_path / "out")], "so nothing was written")
    assert not list(tmp_path.iterdir())


def test_the_command_compresses_what_was_pruned_again(
    compressed: tuple[Report, Path], dataset: Dataset, tmp_path: Path
) -> None:
    pruned = Bundle.load(compressed[1] / "prune")
    arguments = ["compress", str(pruned.path), str(dataset.path), "--how", "int8", "--max-loss", "1"]
    shown = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])
    assert shown.exit_code == 0
    for told in ("before", "int8", "NDCG@10", "kept", "Goal, 2 times as fast", "compression.png", "Time split."):
        assert told in " ".join(shown.output.split())
    found = Bundle.load(tmp_path / "out" / "int8").manifest.compression
    assert found is not None
    assert (found.hash, found.version) == (pruned.hash, "20240101T000000-prune")


def test_without_matplotlib_there_is_a_sentence_in_place_of_a_picture(
    dataset: Dataset, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as Python has it of what cannot be imported
    arguments = ["compress", str(bundle.path), str(dataset.path), "--how", "int8", "--max-loss", "1"]
    shown = CliRunner().invoke(app, [*arguments, "--out", str(tmp_path / "out")])
    assert shown.exit_code == 0
    assert NO_PICTURES in " ".join(shown.output.split())
    assert PICTURE not in shown.output
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(["int8", REPORT, MARKER])


def test_an_option_without_effect_is_refused(dataset: Dataset, bundle: Bundle) -> None:
    refused(["compress", str(bundle.path), str(dataset.path), "--how", "int8", "--keep", "0.5"], "keep is for")


def test_a_folder_of_something_else_is_not_replaced(dataset: Dataset, bundle: Bundle, tmp_path: Path) -> None:
    (tmp_path / "precious").touch()
    refused(["compress", str(bundle.path), str(dataset.path), "--out", str(tmp_path)], "holds something else")
    assert (tmp_path / "precious").exists()


def test_another_data_set_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    other = generate(Synthetic(60, 40, 1_500, tastes=3, seed=1), tmp_path / "other", "other")
    refused(["compress", str(bundle.path), str(other.path), "--out", str(tmp_path / "out")], "trained on other")


def test_a_kind_without_layers_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    ease = fit(dataset, tmp_path / "ease", FitConfig(recommender="ease"), NOW).bundle
    refused(["compress", str(ease.path), str(dataset.path)], "ease has no layers")


def test_a_bundle_without_behaviours_after_its_cut_off_is_refused(dataset: Dataset, tmp_path: Path) -> None:
    config = FitConfig(
        recommender="gru", cut=1.0, size=Size(history_length=4, dim=4, k=10), settings=TrainConfig(epochs=1)
    )
    whole = fit(dataset, tmp_path / "whole", config, NOW).bundle
    refused(["compress", str(whole.path), str(dataset.path)], "what is lost cannot be measured")


def test_bundles_from_before_compression_are_still_read(bundle: Bundle) -> None:
    manifest = bundle.path / MANIFEST
    old = {k: v for k, v in msgspec.json.decode(manifest.read_bytes()).items() if k != "compression"}
    manifest.write_bytes(msgspec.json.encode(old))
    assert Bundle.load(bundle.path).manifest == bundle.manifest


def refused(arguments: list[str], told: str) -> None:
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 1
    assert told in " ".join(shown.output.split())

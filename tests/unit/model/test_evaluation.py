"""Splits, measures and intervals on logs small enough to know the answer; and what must not be measured."""

import shutil
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from job.cli import app
from model.bundles.bundle import Bundle, load_module
from model.datasets.generate import Synthetic, generate
from model.datasets.interactions import load_interactions
from model.datasets.prepared import Dataset, write_catalogue
from model.datasets.reading import Item
from model.evaluation.comparison import Trial, compare
from model.evaluation.evaluate import Ranking, rank, targets_at
from model.evaluation.measures import Measures, measures_of, paired_bootstrap, spread_of
from model.evaluation.splits import SplitError, leave_one_out, time_split
from model.fit import FitConfig, fit
from model.recommenders.popularity import Popularity
from tests.unit.model.test_training import log_of

pytestmark = pytest.mark.heavy
LOG = log_of([(0, 1, 1), (1, 5, 1), (0, 2, 2), (0, 1, 3), (0, 3, 4), (0, 4, 4), (1, 6, 5), (0, 4, 6)])


@pytest.mark.parametrize(("validation", "target", "seen"), [(False, 4, [1, 2, 3]), (True, 3, [1, 2])])
def test_the_last_new_item_is_left_out_and_all_that_follows(validation: bool, target: int, seen: list[int]) -> None:
    split = leave_one_out(LOG, validation=validation)
    targets = targets_at(split.log, split.rows, 5)
    assert targets.target.tolist() == [target]  # user 1 has two items only
    assert targets.seen[0].tolist() == seen
    trained = LOG.where(split.training)
    assert sorted(set(trained.item[trained.user == 0].tolist())) == seen
    assert trained.item[trained.user == 1].tolist() == [5, 6]


def test_equal_times_keep_the_order_of_the_log() -> None:
    first = log_of([(0, item, 7) for item in (3, 1, 2, 4)])
    second = log_of([(0, item, 7) for item in (4, 2, 1, 3)])
    found = [leave_one_out(log) for log in (first, second)]
    assert [int(split.log.item[split.rows[0]]) for split in found] == [4, 3]


def test_disliked_items_are_no_targets_but_are_known() -> None:
    disliked = replace(LOG, in_history=LOG.item != 4)
    split = leave_one_out(disliked)
    assert split.log.item[split.rows].tolist() == [3]


def test_a_log_of_short_histories_cannot_be_left_one_out() -> None:
    with pytest.raises(SplitError, match="three different items"):
        leave_one_out(log_of([(0, 1, 1), (0, 2, 2), (0, 1, 3)]))


def test_the_validation_of_a_time_split_ends_where_the_test_begins() -> None:
    log = log_of([(user, at % 12 + 1, at) for at in range(12) for user in range(2)])
    test, validation = (time_split(log, 0.75, validation=part) for part in (False, True))
    assert [part.log.timestamp[part.rows].min() for part in (test, validation)] == [9, 6]
    assert validation.log.timestamp.max() == 8


def test_measures_equal_their_definitions() -> None:
    items = np.array([[1, 2, 3], [2, 1, 0], [2, 3, 1]])
    ranking = Ranking(items, rank=np.array([1, 2, 0]))
    measured = measures_of(ranking, np.array([0, 3, 1, 0, 0]), 2)
    gains = [1.0, 1 / np.log2(3), 0.0]
    shares = np.array([4, 2, 1, 1]) / 8
    novelty = -np.log2(shares[[0, 1, 1, 0, 1, 2]]).mean()
    expected = Measures(2 / 3, float(np.mean(gains)), 0.5, 3 / 4, float(novelty))
    assert measured == expected


def test_ranks_are_places_in_the_list() -> None:
    log = log_of([(0, 1, 1), (0, 2, 2), (1, 3, 3), (1, 2, 4), (2, 2, 5), (0, 3, 6)], 3)
    targets = targets_at(log, np.array([5, 3]), 3)  # whoever comes first in the log comes first
    ranking = rank(Popularity(log.counts(), 2), targets)
    assert targets.user.tolist() == [0, 1]
    assert ranking.items.tolist() == [[3, 0], [2, 1]]
    assert ranking.rank.tolist() == [1, 1]


def test_seeds_give_a_mean_and_a_deviation() -> None:
    spread = spread_of([Measures(0.1, 0, 0, 0, 0), Measures(0.3, 0, 0, 0, 0)])
    assert spread.deviation is not None
    assert spread.mean.hr == pytest.approx(0.2)
    assert spread.deviation.hr == pytest.approx(np.sqrt(0.02))
    assert spread_of([spread.mean]).deviation is None


def test_intervals_are_of_the_width_that_theory_says() -> None:
    random = np.random.default_rng(0)
    first, second = random.random(400) < 0.5, random.random(400) < 0.3
    found = paired_bootstrap(first.astype(float), second.astype(float), np.arange(400))
    error = (first.astype(float) - second).std() / np.sqrt(400)
    assert found.difference == pytest.approx(first.mean() - second.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert found.low < found.difference < found.high


def test_a_users_targets_are_resampled_together() -> None:
    gain = np.repeat([0.0, 1.0], 50)
    alone = paired_bootstrap(gain, np.zeros(100), np.arange(100))
    together = paired_bootstrap(gain, np.zeros(100), np.repeat([0, 1], 50))
    assert (together.low, together.high) == (0.0, 1.0)
    assert alone.low > 0.3


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return generate(Synthetic(60, 40, 1_500, tastes=3), tmp_path_factory.mktemp("data") / "tiny", "tiny")


@pytest.fixture(scope="module")
def bundle(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("models") / "tiny-ease"
    return fit(dataset, folder, FitConfig(recommender="ease"), datetime(2024, 1, 1, tzinfo=UTC)).bundle


def test_a_bundle_says_what_kind_it_is_and_has_neighbours(bundle: Bundle) -> None:
    assert bundle.manifest.recommender == "ease"
    assert (bundle.neighbors[1:] > 0).any(1).all()


def test_text_recommends_an_item_that_nobody_met_by_its_title(dataset: Dataset, tmp_path: Path) -> None:
    pytest.importorskip("wordllama")
    met, *others = dataset.items().values()
    named = [replace(met, title="a battle in space"), Item("new", "the space battle", "")]
    folder = shutil.copytree(dataset.path, tmp_path / "named")
    write_catalogue(folder, [*named, *(replace(item, title="a wedding in Paris") for item in others)])
    config = FitConfig(recommender="text")
    text = fit(Dataset.open(folder), tmp_path / "text", config, datetime(2024, 1, 1, tzinfo=UTC)).bundle
    history = torch.tensor([[text.index_of[met.item_id]]])
    items, _ = load_module(text)(history, torch.ones(1, 1), torch.ones(1, 1), history)
    assert items[0, 0] == text.index_of["new"]


def test_a_bundle_is_measured_as_its_kind_is(dataset: Dataset, bundle: Bundle) -> None:
    split = time_split(load_interactions(dataset), 0.8)
    found = compare(split, dataset.items(), ["ease", bundle], Trial())
    assert [row.name for row in found.rows] == ["ease", "tiny-ease", "popularity"]
    assert found.rows[0].measures == found.rows[1].measures
    assert found.differences[0].ndcg.high == 0.0
    assert bundle.manifest.metrics["ndcg_10_everyone"] == pytest.approx(found.rows[1].measures.mean.ndcg, abs=1e-6)


def test_a_bundle_is_not_measured_on_what_it_was_trained_on(dataset: Dataset, bundle: Bundle) -> None:
    log = load_interactions(dataset)
    for split in (leave_one_out(log), time_split(log, 0.5)):
        with pytest.raises(SplitError, match="--protocol time-split --cut-off"):
            compare(split, {}, [bundle], Trial())


def test_the_command_refuses_behaviours_that_a_bundle_was_trained_on(dataset: Dataset, bundle: Bundle) -> None:
    asked, cut_off = ["evaluate", str(dataset.path), "--bundle", str(bundle.path)], bundle.manifest.training.cut_off
    for older in (["--protocol", "leave-one-out"], *(["--cut-off", str(at)] for at in (0, cut_off - 86_400_000))):
        shown = CliRunner().invoke(app, [*asked, *older])
        assert shown.exit_code == 1
        assert f"tiny-ease was trained on what is older than {cut_off}" in " ".join(shown.output.split())
        assert "NDCG" not in shown.output


def test_the_command_prints_the_protocol_and_the_differences(dataset: Dataset, bundle: Bundle) -> None:
    shown = CliRunner().invoke(app, ["evaluate", str(dataset.path), "--recommender", "ease,item-cf"])
    assert shown.exit_code == 0
    for told in ("leave-one-out, test", "NDCG@10", "popularity", "ease less item-cf", "Leave one out."):
        assert told in " ".join(shown.output.split())


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--recommender", "magic"], "there is no recommender 'magic'"),
        (["--recommender", "ease,ease:l3=2"], "no option 'l3'"),
        (["--bundle", "nowhere"], "holds no bundle"),
    ],
)
def test_the_command_says_what_is_wrong(dataset: Dataset, options: list[str], told: str) -> None:
    shown = CliRunner().invoke(app, ["evaluate", str(dataset.path), *options])
    assert shown.exit_code == 1
    assert told in " ".join(shown.output.split())


def test_a_missing_library_is_told(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = [name for name in sys.modules if name.startswith("implicit.")]
    for name in ("implicit", *loaded):
        monkeypatch.setitem(sys.modules, name, None)
    shown = CliRunner().invoke(app, ["evaluate", str(dataset.path), "--recommender", "als"])
    assert shown.exit_code == 1
    assert "pip install implicit" in " ".join(shown.output.split())


def test_the_command_measures_a_bundle_after_its_cut_off(dataset: Dataset, bundle: Bundle) -> None:
    shown = CliRunner().invoke(app, ["evaluate", str(dataset.path), "--bundle", str(bundle.path)])
    assert shown.exit_code == 0
    assert "time-split, test" in shown.output

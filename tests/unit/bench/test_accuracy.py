"""The comparison with peers: choices on the validation, finished trainings kept, one judge for all lists."""

from pathlib import Path

import numpy as np
import pytest

from model.datasets.generate import Synthetic, generate
from model.datasets.prepared import Dataset
from model.evaluation.evaluate import targets_at
from tests.bench.accuracy.cells import Cell, Outcome, Store
from tests.bench.accuracy.contest import LISTED, Contest, without_met
from tests.bench.accuracy.plan import FAMILIES, Contender, Family, each
from tests.bench.accuracy.report import Standing, as_json, as_markdown, best_peer
from tests.bench.accuracy.sets import Problem
from tests.bench.accuracy.task import Question, Rows, answer, answered, ask, read
from tests.unit.model.test_training import log_of

pytestmark = pytest.mark.heavy
EASE = Contender(name="ease", label="ours", choices=each({}, l2=(1.0, 2.0)))
PEER = Contender(name="library.model", label="peer", choices=each({}, x=(0, 1)), checkpoints=(1, 2), seeded=True)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return generate(Synthetic(60, 40, 1_500, tastes=3), tmp_path_factory.mktemp("data") / "tiny", "tiny")


@pytest.fixture
def contest(dataset: Dataset, tmp_path: Path) -> Contest:
    return Contest(Problem("ml-100k", dataset), Store(tmp_path), lambda _: None)


def keep(contest: Contest, part: str, lists: dict[int, int], *, x: int = 0, seed: int = 0) -> None:
    """Puts a peer's outcome into the store: epochs -> the place at which each list has its target; 0 for nowhere."""
    targets = contest.problem.targets[part]
    made = {}
    for epochs, place in lists.items():
        made[epochs] = np.zeros((len(targets), LISTED), dtype=np.int64)
        if place:
            made[epochs][:, place - 1] = targets.target
    contest._store.put(contest._cell(PEER, part, PEER.choices[x], tuple(lists), seed), Outcome(made, 1.0))


def test_what_draws_nothing_is_tested_once(contest: Contest) -> None:
    contest.train(EASE, seeds=3)
    result = contest.result(EASE, seeds=3)
    assert result is not None
    assert result.chosen.tried == 2
    assert len(result.ndcg) == 1
    assert 0 < result.ndcg[0] < result.hr[0] < 1


def test_what_is_finished_is_not_trained_again(contest: Contest, dataset: Dataset) -> None:
    contest.train(EASE, seeds=1)
    told: list[str] = []
    again = Contest(Problem("ml-100k", dataset), contest._store, told.append)
    again.train(EASE, seeds=1)
    assert not told


def test_the_validation_chooses_options_and_epochs(contest: Contest) -> None:
    assert contest.chosen(PEER) is None
    keep(contest, "validation", {1: 4, 2: 3})
    keep(contest, "validation", {1: 2, 2: 5}, x=1)
    chosen = contest.chosen(PEER)
    assert chosen is not None
    assert (chosen.options, chosen.epochs, chosen.tried) == ({"x": 1}, 1, 2)
    assert chosen.ndcg == pytest.approx(1 / np.log2(3))


def test_the_test_counts_the_seeds_that_are_there(contest: Contest) -> None:
    keep(contest, "validation", {1: 1, 2: 0})
    keep(contest, "validation", {1: 0, 2: 0}, x=1)
    assert contest.result(PEER, seeds=3) is None
    keep(contest, "test", {1: 1})
    keep(contest, "test", {1: 0}, seed=2)
    result = contest.result(PEER, seeds=3)
    assert result is not None
    assert (result.hr, result.gains.tolist()) == ((1.0, 0.0), [0.5] * len(result.gains))


def test_what_was_met_leaves_the_list_and_the_rest_moves_up() -> None:
    log = log_of([(0, 1, 1), (0, 2, 2), (0, 3, 3)])
    targets = targets_at(log, np.array([2]), 1)
    assert without_met(np.array([[2, 4, 1, 3, 0]]), targets).tolist() == [[4, 3, 0, 0, 0]]


def test_the_report_compares_ours_with_the_best_peer_of_its_family(contest: Contest) -> None:
    keep(contest, "validation", {1: 1, 2: 0})
    keep(contest, "validation", {1: 0, 2: 0}, x=1)
    keep(contest, "test", {1: 0})
    contest.train(EASE, seeds=1)
    results = tuple(found for one in (PEER, EASE) if (found := contest.result(one, 1)) is not None)
    user = contest.problem.splits["test"].log.user[contest.problem.splits["test"].rows]
    family = Family(name="linear", ours=(EASE,), peers=(PEER,))
    standing = Standing("ml-100k", "Tiny", user, ((family, results),))
    assert best_peer(results) is results[0]
    told = as_json([standing])["sets"]
    assert isinstance(told, dict)
    row = told["ml-100k"][1]
    assert row["less_peer"]["ndcg"][0] == pytest.approx(results[1].ndcg[0])  # the peer had nothing
    assert "| linear | **ours** |" in as_markdown([standing])


def test_a_question_comes_through_files_as_it_was_asked(tmp_path: Path) -> None:
    numbers = np.arange(3)
    question, rows = Question("a.b", {"x": 1, "y": None}, 7, (1, 2), 5), Rows(*[numbers] * 5)
    ask(tmp_path, question, rows)
    assert read(tmp_path)[0] == question
    assert read(tmp_path)[1].now.tolist() == numbers.tolist()
    answer(tmp_path, {2: numbers})
    assert answered(tmp_path)[2].tolist() == numbers.tolist()


def test_a_cell_is_known_by_all_that_decides_it() -> None:
    keys = {Cell("d", part, "n", "v", {"a": a}, (1,), seed).key for part in "xy" for a in (1, 2) for seed in (0, 1)}
    assert len(keys) == 8


def test_recency_weights_count_back_from_each_users_newest() -> None:
    peers = pytest.importorskip("tests.bench.accuracy.peers.with_implicit")
    assert peers.faded(np.array([0, 1, 0, 0, 1]), 0.5).tolist() == [0.25, 0.5, 0.5, 1.0, 1.0]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_ours_never_choose_from_more_than_their_peers(family: Family) -> None:
    tried = [len(one.choices) for one in family.peers]
    assert not tried or all(len(one.choices) <= max(tried) for one in family.ours)

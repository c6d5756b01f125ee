"""Each recommender learns a planted pattern, and computes what a plain reference computes."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from model.datasets.interactions import Interactions
from model.errors import TrainingError
from model.recommenders import als, ease, hybrid, item_cf, lightgcn, slit, user_cf
from model.recommenders.cooccurrence import paired_items, user_item_matrix
from model.recommenders.factors import MeanOfItems, padded
from model.recommenders.from_history import FromHistory
from model.recommenders.hybrid import Hybrid, behind_best
from model.recommenders.kinds import KINDS, RecommenderSpec, Size, TrainingSet, UnknownKindError, kind_named
from model.recommenders.neighbors import neighbors_by_users
from model.recommenders.options import OptionError, fields_of
from model.recommenders.popularity import Popularity, faded_counts
from tests.unit.model.planted import ITEMS, LIBRARIES, TASTE, learned, two_tastes
from tests.unit.model.test_training import log_of

pytestmark = pytest.mark.heavy
Array = npt.NDArray[np.float64]
HISTORY = [3, 11, 1]
RECENCY = [0.9**2, 0.9, 1.0]
PERSONAL = [name for name in KINDS if name != "popularity"]


@pytest.fixture(scope="module")
def log() -> Interactions:
    """The two tastes, with some users of both."""
    pure = two_tastes()
    mixed = pure.item.copy()
    mixed[::7] = (mixed[::7] + TASTE - 1) % ITEMS + 1
    return log_of(list(zip(pure.user.tolist(), mixed.tolist(), pure.timestamp.tolist(), strict=True)), ITEMS)


@pytest.fixture(scope="module")
def met(log: Interactions) -> Array:
    """Who met what, (users, n)."""
    table = np.zeros((log.users, ITEMS))
    table[log.user, log.item - 1] = 1.0
    return table


def scores_of(model: FromHistory | Popularity, history: Sequence[int], weight: float = 1.0) -> Array:
    row = torch.tensor([history], dtype=torch.int64)
    filled = torch.full(row.shape, weight)
    with torch.inference_mode():
        found: Array = model.scores(row, filled, filled)[0, 1:].double().numpy()
    return found


@pytest.mark.parametrize("name", [*PERSONAL, "lightgcn:negatives=8"])
def test_a_planted_taste_is_learned(name: str) -> None:
    if library := LIBRARIES.get(name):
        pytest.importorskip(library)
    recommender = learned(name).recommender
    for start in (1, 1 + TASTE):
        history = torch.tensor([[start, start + 1]])
        ones = torch.ones(history.shape)
        items, _ = recommender(history, ones, ones, history)
        assert all(start <= item < start + TASTE for item in items[0, :5].tolist())


def test_popularity_follows_what_is_new() -> None:
    day = 86_400_000
    log = log_of([(0, 1, 0), (1, 1, 0), (2, 1, 0), (0, 2, 60 * day), (1, 2, 60 * day)], 2)
    assert faded_counts(log, 60.0).tolist() == [0.0, 1.5, 2.0]
    assert faded_counts(log, 1e9).tolist() == pytest.approx([0.0, 3.0, 2.0])


def test_popularity_counts_each_user_of_an_item_once_by_the_newest_time() -> None:
    day = 86_400_000
    log = log_of([(0, 1, 0), (1, 1, 0), (0, 2, 0), (0, 1, 30 * day)], 2)
    assert faded_counts(log, 30.0).tolist() == [0.0, 1.5, 0.5]


def test_item_cf_equals_its_definition(log: Interactions, met: Array) -> None:
    options = item_cf.Options(neighbors=3, power=0.7)
    model = item_cf.ItemCF(*item_cf.similar_items(paired_items(log), options), log.counts(), 5, 0.9)
    expected, popular = np.zeros(ITEMS), met.sum(0) + met.sum(0).mean()
    for item, recency in zip(HISTORY, RECENCY, strict=True):
        users = met[:, item - 1] / np.sqrt(met.sum(1))
        alike = np.array([users @ met[:, j] / (popular[item - 1] * popular[j]) ** 0.7 for j in range(ITEMS)])
        alike[item - 1] = 0.0
        nearest = np.sort(alike)[-3:]
        found = scores_of(model, [item])
        assert np.sort(found)[-3:] == pytest.approx(nearest, abs=1e-6)  # which of equal ones are kept is left open
        assert np.flatnonzero(found).size == np.count_nonzero(nearest)
        expected += recency * found
    assert scores_of(model, HISTORY) == pytest.approx(expected, abs=1e-6)


def test_user_cf_equals_its_definition(log: Interactions, met: Array) -> None:
    everybody = user_cf.Options(neighbors=log.users, shrink=3.0)
    model = user_cf.UserCF(user_item_matrix(log).to_dense().T.contiguous(), log.counts(), 5, everybody)
    mine = np.zeros(ITEMS)
    mine[np.array(HISTORY) - 1] = RECENCY
    expected = np.zeros(ITEMS)
    for theirs in met:
        expected += theirs * (mine @ theirs) / (np.linalg.norm(mine) * np.linalg.norm(theirs) + 3.0)
    assert scores_of(model, HISTORY) == pytest.approx(expected, abs=1e-5)


def test_user_cf_listens_to_the_nearest_alone() -> None:
    log = log_of([(0, 1, 0), (0, 2, 1), (1, 1, 2), (1, 3, 3), (1, 4, 4)], 4)
    met = user_item_matrix(log).to_dense().T.contiguous()
    model = user_cf.UserCF(met, log.counts(), 4, user_cf.Options(neighbors=1, shrink=0.0))
    assert np.flatnonzero(scores_of(model, [1])).tolist() == [0, 1]


def test_user_cf_keeps_the_newest_users_that_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(user_cf, "CELLS", 2 * 4)
    log = log_of([(0, 1, 0), (1, 2, 1), (2, 3, 2), (0, 2, 3)], 3)
    assert user_cf.newest_users(log).tolist() == [0, 2]


def test_ease_is_a_ridge_of_each_item_on_all_others(log: Interactions, met: Array) -> None:
    expected = np.zeros((ITEMS, ITEMS))
    for item in range(ITEMS):
        others = np.delete(np.arange(ITEMS), item)
        gram = met[:, others].T @ met[:, others] + 5.0 * np.eye(ITEMS - 1)
        expected[others, item] = np.linalg.solve(gram, met[:, others].T @ met[:, item])
    weights = ease.item_weights(paired_items(log), 5.0)
    assert weights[1:, 1:].double().numpy() == pytest.approx(expected, abs=1e-6)
    model = ease.EASE(weights, log.counts(), 5, 0.9)
    history = [expected[item - 1] * recency for item, recency in zip(HISTORY, RECENCY, strict=True)]
    assert scores_of(model, HISTORY) == pytest.approx(np.sum(history, axis=0), abs=1e-5)


def test_slit_is_a_ridge_of_the_next_item_on_the_faded_history() -> None:
    histories = [[3, 1, 2, 3], [4], [2, 4], [1, 4, 2]]
    log = log_of([(user, item, at) for user, items in enumerate(histories) for at, item in enumerate(items)], 4)
    past, following = [], []
    for items in histories:
        for end in range(1, len(items)):
            row = np.zeros(4)
            for back, item in enumerate(items[:end][::-1][:2]):  # it reaches two items back
                row[item - 1] += 0.5**back
            past.append(row)
            following.append(np.eye(4)[items[end] - 1])
    x, y = np.array(past), np.array(following)
    expected = np.linalg.solve(x.T @ x + 3.0 * np.eye(4), x.T @ y)
    weights = slit.next_item_weights(log, slit.Options(l2=3.0, decay=0.5, reach=2))
    assert weights[1:, 1:].double().numpy() == pytest.approx(expected, abs=1e-6)
    assert not weights[0].any()
    assert not weights[:, 0].any()


def test_slit_knows_an_order_that_ease_does_not() -> None:
    log = log_of([(user, item, item) for user in range(9) for item in (1, 2, 3)], 3)
    history = [2]
    after, together = slit.next_item_weights(log), ease.item_weights(paired_items(log), 1.0)
    model_after, model_together = (ease.EASE(weights, log.counts(), 3, 0.9) for weights in (after, together))
    assert scores_of(model_after, history).argmax() + 1 == 3
    assert scores_of(model_together, history)[0] == pytest.approx(scores_of(model_together, history)[2])


def test_scores_are_told_by_how_far_they_are_behind_the_best() -> None:
    scores = torch.tensor([[-torch.inf, 1.0, 5.0, 3.0, -7.0], [-torch.inf, -torch.inf, 2.0, 1.0, -torch.inf]])
    found = behind_best(scores, 3)
    assert found[0, 1:].tolist() == pytest.approx([-2.0, 0.0, -1.0, -6.0])  # the first three are 2 behind on average
    assert found[1, 2:4].tolist() == pytest.approx([0.0, -2.0])


def test_a_hybrid_adds_up_what_its_members_say_of_the_rest(log: Interactions) -> None:
    members = {Popularity(np.array([0, 5, 4, 0, 1]), 4): 1.0, Popularity(np.array([0, 0, 1, 3, 2]), 4): 2.0}
    model = Hybrid(4, 4, members)
    nothing = torch.zeros((1, 0))
    items, _ = model(nothing.long(), nothing, nothing, torch.tensor([[1]]))
    left, right = np.array([4.0, 0.0, 1.0]), np.array([1.0, 3.0, 2.0])  # items 2 to 4
    scales = [(each.max() - each) / (each.max() - each).mean() for each in (left, right)]
    best = np.argsort(scales[0] + 2.0 * scales[1]) + 2
    assert items[0, :3].tolist() == best.tolist()
    assert items[0, 3] == 0


def test_ease_refuses_a_matrix_of_gigabytes(log: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease, "ITEMS", ITEMS - 1)
    with pytest.raises(ValueError, match="at most 15 items, not 16, on which"):
        ease.item_weights(paired_items(log), 5.0)


def test_als_folds_a_user_in_as_least_squares_says(log: Interactions) -> None:
    vectors = np.random.default_rng(0).normal(size=(ITEMS, 4))
    model = als.ALS(padded(vectors), log.counts(), 5, als.Options(alpha=4.0, l2=0.5, decay=0.9))
    confidence, wanted = np.ones(ITEMS), np.zeros(ITEMS)
    confidence[np.array(HISTORY) - 1] += 4.0 * 2.0 * 0.9 ** np.array([2, 1, 0])
    wanted[np.array(HISTORY) - 1] = 1.0
    # The same minimum as an ordinary least squares with four more rows for the penalty.
    rows = np.vstack([vectors * np.sqrt(confidence)[:, np.newaxis], np.sqrt(0.5) * np.eye(4)])
    user = np.linalg.lstsq(rows, np.append(wanted * np.sqrt(confidence), np.zeros(4)), rcond=None)[0]
    assert scores_of(model, HISTORY, weight=2.0) == pytest.approx(vectors @ user, abs=1e-4)


def test_a_user_is_the_faded_mean_of_what_it_met(log: Interactions) -> None:
    met, items = np.random.default_rng(0).normal(size=(2, ITEMS, 4))
    model = MeanOfItems(padded(met), padded(items), log.counts(), 5, 0.9)
    user = np.average(met[np.array(HISTORY) - 1], axis=0, weights=RECENCY)
    assert scores_of(model, HISTORY) == pytest.approx(items @ user, abs=1e-5)


def test_bpr_scores_by_vectors_less_their_mean_and_by_the_items_bias() -> None:
    pytest.importorskip("implicit")
    model = learned("bpr").recommender
    assert isinstance(model, MeanOfItems)
    vectors, bias = model.items[1:, :-1].double().numpy(), model.items[1:, -1].double().numpy()
    recency = np.array([0.85**2, 0.85, 1.0])
    user = np.average(vectors[np.array(HISTORY) - 1] - vectors.mean(0), axis=0, weights=recency)
    assert scores_of(model, HISTORY) == pytest.approx(vectors @ user + bias, abs=1e-5)


def test_text_scores_by_the_cosine_of_titles_less_what_all_have_in_common() -> None:
    wordllama = pytest.importorskip("wordllama")
    titles = ("a wedding in Paris", "the battle of Paris", "wedding cake", "space battle")
    folder = Path(wordllama.__file__).parent
    embedded = wordllama.WordLlama.load(cache_dir=folder, disable_download=True).embed(list(titles), norm=True)
    apart = embedded - embedded.mean(0)
    unit = apart / np.linalg.norm(apart, axis=1, keepdims=True)
    log = log_of([(0, 1, 1), (0, 2, 2)], 4)
    model = kind_named("text").learn(TrainingSet(log, titles), Size(k=4), None, lambda _: None).recommender
    assert isinstance(model, MeanOfItems)
    user = np.average(unit[[2, 0]], axis=0, weights=[0.9, 1.0])
    assert scores_of(model, [3, 1]) == pytest.approx(unit @ user, abs=1e-5)


def test_lightgcn_propagates_as_dense_matrices_do(log: Interactions, met: Array) -> None:
    embedding = np.random.default_rng(0).normal(size=(ITEMS, 4))
    edges = met / np.sqrt(np.outer(met.sum(1), met.sum(0)).clip(1))
    users, items = [edges @ embedding], [embedding]
    for _ in range(2):
        users, items = [*users, edges @ items[-1]], [*items, edges.T @ users[-1]]
    graph = lightgcn.graph_of(log)
    everything = graph.matrix(torch.ones(len(graph.user), dtype=torch.bool))
    summed, ranked = lightgcn.propagate(everything, padded(embedding), 2)
    assert ranked[1:].double().numpy() == pytest.approx(np.mean(items, axis=0), abs=1e-5)
    assert (everything @ summed).double().numpy() == pytest.approx(np.mean(users, axis=0), abs=1e-5)


@pytest.mark.parametrize("name", ["item-cf", "user-cf", "ease", "lightgcn"])
def test_a_history_of_nothing_known_gets_what_is_popular(name: str, log: Interactions) -> None:
    recommender = learned(name, log).recommender
    nothing = torch.zeros((1, 3), dtype=torch.int64)
    items, scores = recommender(nothing, nothing.float(), nothing.float(), nothing)
    assert scores[0].tolist() == sorted(log.counts().tolist(), reverse=True)[:10]
    assert items[0, 0] == log.counts().argmax()


def test_neighbours_have_users_in_common() -> None:
    log = log_of([(0, 1, 0), (0, 2, 1), (1, 1, 2), (1, 2, 3), (2, 2, 4), (2, 3, 5)], 4)
    assert neighbors_by_users(log, 3).tolist() == [[0] * 3, [2, 0, 0], [1, 3, 0], [2, 0, 0], [0] * 3]


def test_an_unknown_kind_is_told_which_there_are() -> None:
    with pytest.raises(UnknownKindError, match="use one of sasrec, hstu"):
        kind_named("magic")


def test_options_behind_a_name_change_its_size_its_training_and_its_own_numbers(log: Interactions) -> None:
    kind = kind_named("als:dim=3:epochs=2:decay=0.5:l2=7")
    learned_so = kind.learn(TrainingSet(log, log.vocabulary), Size(), None, lambda _: None).recommender
    assert isinstance(learned_so, als.ALS)
    assert (learned_so.decay, learned_so.items.shape) == (0.5, (ITEMS + 1, 3))
    assert torch.allclose(learned_so.gram, learned_so.items.T @ learned_so.items + 7.0 * torch.eye(3))


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (
            "ease:l3=2",
            "no option 'l3' here; there are, with their defaults, l2=200.0, decay=0.9, history_length=50, k=100$",
        ),
        ("ease:epochs=9", "no option 'epochs'"),
        ("gru:layers=3", "no option 'layers'"),
        ("sasrec:seed=1", "no option 'seed'"),
        ("ease:l2=much", "'l2=much' is no option; write NAME:OPTION=NUMBER"),
        ("item-cf:neighbors=2.5", "neighbors is a whole number, not 2.5"),
    ],
)
def test_options_that_do_not_fit_are_refused(written: str, told: str, log: Interactions) -> None:
    with pytest.raises(OptionError, match=told):
        kind_named(written).learn(TrainingSet(log, log.vocabulary), Size(), None, lambda _: None)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_what_a_kind_has_a_use_for_are_fields_that_there_are(kind: RecommenderSpec) -> None:
    assert kind.recipe().SETTINGS.epochs > 0
    assert kind.takes <= fields_of(Size(), kind.settings()).keys()


@pytest.mark.parametrize("name", ["ease", "als", "lightgcn"])
def test_on_a_gpu_trains_only_what_can(name: str, log: Interactions) -> None:
    how = replace(kind_named(name).settings(), device="cuda")
    with pytest.raises(ValueError, match="a device is for sasrec, hstu"):
        kind_named(name).learn(TrainingSet(log, log.vocabulary), Size(), how, lambda _: None)


def test_a_hybrid_of_a_large_catalogue_leaves_slit_out(log: Interactions, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("implicit")
    monkeypatch.setattr(hybrid, "ITEMS", ITEMS - 1)
    found = kind_named("hybrid:epochs=1:dim=4").learn(TrainingSet(log, log.vocabulary), Size(), None, lambda _: None)
    assert [type(member).__name__ for member in found.recommender.members] == ["ALS", "GRU"]


def test_a_dense_matrix_is_refused_with_its_size_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainingError, match=r"at most 20,000 items, not 40,000, on which the training takes 64 GB"):
        ease.refuse_gigabytes("slit", 40_000)
    monkeypatch.setattr(ease, "_TRAINING_BYTES", 1e15)
    with pytest.raises(TrainingError, match=r"ease on 1,000 items takes [0-9.]+ GB of memory, and [0-9.]+ GB are"):
        ease.refuse_gigabytes("ease", 1_000)


def test_a_hybrid_is_refused_as_such_before_any_of_it_is_trained(
    log: Interactions, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("implicit")
    monkeypatch.setattr(ease, "_TRAINING_BYTES", 1e15)
    monkeypatch.setattr(als, "fit", lambda *_: pytest.fail("it was trained"))
    with pytest.raises(TrainingError, match=r"^training hybrid on "):
        kind_named("hybrid").learn(TrainingSet(log, log.vocabulary), Size(), None, lambda _: None)

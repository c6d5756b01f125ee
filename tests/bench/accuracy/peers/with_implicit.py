"""What implicit has: neighbours of items, and matrix factorisation.

A user's row may fade: the newest behaviour counts 1, the one before it `decay`, and so on. Implicit itself has no such
thing, but takes any row when it is asked, so the peer of our recency weights is neighbours with the same weights.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from implicit.nearest_neighbours import BM25Recommender, CosineRecommender, TFIDFRecommender
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from tests.bench.accuracy.task import Ints, Question, Rows

Lists = Iterator[tuple[int, Ints]]


def neighbors(question: Question, rows: Rows) -> Lists:
    """Items like those of the row; `weighting` is cosine, tfidf or bm25."""
    options = dict(question.options)
    kinds = {"cosine": CosineRecommender, "tfidf": TFIDFRecommender, "bm25": BM25Recommender}
    decay = float(options.pop("decay", 1.0))  # type: ignore[arg-type]
    model = kinds[str(options.pop("weighting"))](**options, num_threads=1)
    model.fit(_matrix(rows, np.ones(len(rows.user))), show_progress=False)
    yield 0, _lists(model, _matrix(rows, faded(rows.user, decay)), question, rows)


def als(question: Question, rows: Rows) -> Lists:
    """Weighted least squares, after each number of rounds from the start."""
    for rounds in question.checkpoints:
        model = AlternatingLeastSquares(
            **question.options, iterations=rounds, random_state=question.seed, num_threads=1
        )
        yield rounds, _factorised(model, question, rows)


def bpr(question: Question, rows: Rows) -> Lists:
    """Pairwise ranking, after each number of rounds from the start."""
    for rounds in question.checkpoints:
        model = BayesianPersonalizedRanking(
            **question.options, iterations=rounds, random_state=question.seed, num_threads=1
        )
        yield rounds, _factorised(model, question, rows)


def faded(user: Ints, decay: float) -> npt.NDArray[np.float64]:
    """The weight of each row: 1 for a user's newest, `decay` for the one before it, and so on. (N,)."""
    order = np.lexsort((-np.arange(len(user)), user))  # by user, newest first
    starts = np.flatnonzero(np.diff(user[order], prepend=-1))
    place = np.arange(len(user)) - np.repeat(starts, np.diff(starts, append=len(user)))
    weights = np.empty(len(user))
    weights[order] = decay**place
    return weights


def _factorised(model: Any, question: Question, rows: Rows) -> Ints:
    matrix = _matrix(rows, np.ones(len(rows.user)))
    with threadpool_limits(1, "blas"):
        model.fit(matrix, show_progress=False)
        return _lists(model, matrix, question, rows)


def _matrix(rows: Rows, weights: npt.NDArray[np.float64]) -> Any:
    """Users by items; what was met twice adds up."""
    shape = (int(rows.user.max()) + 1, int(rows.item.max()) + 1)
    return csr_matrix((weights.astype(np.float32), (rows.user, rows.item)), shape)


def _lists(model: Any, matrix: Any, question: Question, rows: Rows) -> Ints:
    """Best first, without what was met; 0 for what implicit fills up with."""
    items, scores = model.recommend(rows.asked, matrix[rows.asked], N=question.top, filter_already_liked_items=True)
    found: Ints = np.where(scores > np.finfo(np.float32).min / 2, items, 0).astype(np.int64)
    return found


MODELS: Mapping[str, Callable[[Question, Rows], Lists]] = {"neighbors": neighbors, "als": als, "bpr": bpr}

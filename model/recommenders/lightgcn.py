"""LightGCN: embeddings smoothed over the graph of users and items (He et al. 2020).

It differs from the paper twice. A user has no embedding of its own but starts as the sum of its items', so that a user
who is not in the training data is the same function of the history. And every training step hides a share of each
user's items and predicts them by a softmax over all items, which needs far fewer steps than pairs do.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from model.datasets.interactions import Interactions
from model.networks.losses import negatives_for
from model.recommenders.cooccurrence import user_item_matrix
from model.recommenders.factors import MeanOfItems, with_neighbors_by
from model.recommenders.kinds import Learned, Progress, Size, TrainingSet
from model.training.train import EpochDone, TrainConfig
from model.training.train_config import TooLittleDataError

SETTINGS = TrainConfig(epochs=200, batch_size=1_024, learning_rate=1e-2, weight_decay=0.0)


@dataclass(frozen=True, slots=True)
class Options:
    """The options of LightGCN.

    Attributes:
        hidden: share of each user's items that a step hides and predicts.
        scale: factor of the user's vector in the softmax.
        decay: weight of an item as a share of the next newer one's.
    """

    hidden: float = 0.3
    scale: float = 10.0
    decay: float = 0.8


DEFAULTS = Options()


@dataclass(frozen=True, slots=True)
class Graph:
    """The graph of users and items: E edges, each with the norm 1 / sqrt(items of the user * users of the item).

    Attributes:
        user: (E,).
        item: (E,), model indexes.
        norm: (E,).
        users: number of users.
        items: n.
    """

    user: Tensor
    item: Tensor
    norm: Tensor
    users: int
    items: int

    def matrix(self, kept: Tensor) -> Tensor:
        """Return the norms of the kept edges, bool (E,), as a sparse (users, n + 1) matrix."""
        edges = torch.stack([self.user[kept], self.item[kept]])
        size = (self.users, self.items + 1)
        return torch.sparse_coo_tensor(edges, self.norm[kept], size, is_coalesced=True, check_invariants=False)


def graph_of(log: Interactions) -> Graph:
    """Build the graph of a log's histories."""
    user, item = user_item_matrix(log).indices()
    degrees = torch.bincount(user, minlength=log.users)[user] * torch.bincount(item, minlength=log.items + 1)[item]
    return Graph(user, item, degrees.float().rsqrt(), log.users, log.items)


def propagate(edges: Tensor, embedding: Tensor, layers: int) -> tuple[Tensor, Tensor]:
    """Return the means over the layers, computed from nothing but the items' embeddings.

    Args:
        edges: sparse (users, n + 1), normalised.
        embedding: (n + 1, D).
        layers: number of steps over the graph.

    Returns:
        The item vectors that a user sums over the edges, (n + 1, D), and those to rank, (n + 1, D).
    """
    item, back = embedding, edges.t()
    summed, items = embedding, embedding
    user = torch.sparse.mm(edges, item)
    for _ in range(layers):
        summed = summed + item
        item, user = torch.sparse.mm(back, user), torch.sparse.mm(edges, item)
        items = items + item
    return summed / (layers + 1), items / (layers + 1)


def fit(
    data: TrainingSet, size: Size, settings: TrainConfig, progress: Progress, options: Options = DEFAULTS
) -> Learned:
    """Train the items' embeddings; raise ValueError if nothing can be hidden and predicted."""
    graph = graph_of(data.log)
    embedding = _Loop(graph, size, settings, options).run(progress)
    with torch.no_grad():
        summed, items = propagate(graph.matrix(torch.ones_like(graph.user, dtype=torch.bool)), embedding, size.layers)
    users = torch.bincount(graph.item, minlength=graph.items + 1).clamp(min=1)
    in_histories = summed * users.rsqrt().unsqueeze(1)
    counts = data.log.histories().counts()
    return with_neighbors_by(items, MeanOfItems(in_histories, items, counts, size.k, options.decay))


class _Loop:
    """The training loop: it hides items, propagates over the graph and predicts the hidden ones."""

    def __init__(self, graph: Graph, size: Size, settings: TrainConfig, options: Options) -> None:
        if len(graph.user) <= graph.users:
            msg = "hardly a user has two history behaviours before the cut-off; take more data or a later cut-off"
            raise TooLittleDataError(msg)
        self._graph = graph
        self._layers = size.layers
        self._settings = settings
        self._options = options
        self._negatives = negatives_for(graph.items, settings.negatives)
        self._random = torch.Generator().manual_seed(settings.seed)
        start = 0.1 * torch.randn(graph.items + 1, size.dim, generator=self._random)
        start[0] = 0.0
        self._embedding = start.requires_grad_()
        self._optimizer = torch.optim.AdamW(
            [self._embedding], lr=settings.learning_rate, weight_decay=settings.weight_decay
        )

    def run(self, progress: Progress) -> Tensor:
        """Train all epochs, and return the items' embeddings, (n + 1, D)."""
        for epoch in range(1, self._settings.epochs + 1):
            order = torch.randperm(self._graph.users, generator=self._random)
            losses = [self._step(users) for users in order.split(self._settings.batch_size)]
            progress(EpochDone(epoch, self._settings.epochs, float(np.mean(losses))))
        return self._embedding.detach()

    def _step(self, users: Tensor) -> float:
        self._optimizer.zero_grad(set_to_none=True)
        loss = self._loss(users)
        loss.backward()
        self._optimizer.step()
        return float(loss.detach())

    def _loss(self, users: Tensor) -> Tensor:
        """Return the cross entropy of some users' hidden items. (B,) -> scalar."""
        graph = self._graph
        hidden = torch.rand(len(graph.user), generator=self._random) < self._options.hidden  # (E,)
        edges = graph.matrix(~hidden)
        summed, items = propagate(edges, self._embedding, self._layers)
        place = torch.full((graph.users,), -1).index_put_((users,), torch.arange(len(users)))
        asked = hidden & (place[graph.user] >= 0)
        user, item = place[graph.user[asked]], graph.item[asked]  # (P,), (P,)
        vectors = self._options.scale * torch.sparse.mm(edges, summed)[users]  # (B, D)
        wanted = (vectors[user] * items[item]).sum(1)  # (P,)
        return (self._normalizer(vectors, items)[user] - wanted).sum() / max(1, len(user))

    def _normalizer(self, vectors: Tensor, items: Tensor) -> Tensor:
        """Return the softmax's log-normaliser, estimated from drawn items if all are too many. (B, D) -> (B,)."""
        count = self._graph.items
        if not self._negatives:
            return torch.logsumexp(vectors @ items[1:].T, 1)
        drawn = torch.randint(1, count + 1, (self._negatives,), generator=self._random)
        return torch.logsumexp(vectors @ items[drawn].T, 1) + float(np.log(count / self._negatives))

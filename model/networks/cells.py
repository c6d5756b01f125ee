"""Items in cells of like embeddings, so that the best of very many are found without scoring all of them.

An answer has two stages: a state is multiplied with the centre of each cell, and then with every item in the cells of
the best centres (an inverted file, as in Sivic and Zisserman 2003 and Johnson et al. 2017, but with whole vectors).
Scores are exact; an item is missed where its cell is not among those that are probed.
"""

import math

import torch
from torch import Tensor, nn

from model.networks.sequence import Items
from model.networks.top_k import masked_top_k

CELL = 64
"""Places in a cell. All cells have as many, so that a call is a few products of fixed shapes."""
_CLUSTER = 4 * CELL
"""Items in a cluster, on the mean, before it is cut into cells: the fewer, the more places stay empty."""
_ROUNDS = 8
_ROWS_AT_ONCE = 16_384


class CellItems(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """The items' embeddings in cells, in place of `Items`; each is held once.

    Attributes:
        weight: float32 (C x M, D), cell by cell; zero at empty places.
        bias: float32 (C x M,), -inf at empty places.
        member: int64 (C x M,), model indexes, 0 at empty places.
        place: int64 (n + 1,), the place of each model index; that of 0 is empty.
        centre: float32 (C, D), the mean of each cell.
        centre_bias: float32 (C,).
        probes: the cells whose items are scored; 0 scores all items.
    """

    probes: int
    cell: int

    def __init__(self, items: Items, bias: Tensor, probes: int) -> None:
        """Sort the items into cells; the float table stays as it is."""
        super().__init__()
        weight, bias = items.weight.detach(), bias.detach()
        member = cells_of(torch.cat([weight, bias.unsqueeze(1)], 1)[1:])  # (C, M)
        if bool((member > 0).all()):  # the padding index needs an empty place
            member = torch.cat([member, torch.zeros_like(member[:1])])
        self.cell = member.size(1)
        self.probes = probes
        real = member > 0
        filled = real.sum(1).clamp(min=1)  # (C,)
        in_cells = weight[member] * real.unsqueeze(2)  # (C, M, D)
        biases = bias[member].masked_fill(~real, 0.0)
        self.register_buffer("centre", in_cells.sum(1) / filled.unsqueeze(1))
        self.register_buffer("centre_bias", (biases.sum(1) / filled).masked_fill(~real.any(1), float("-inf")))
        self.register_buffer("weight", in_cells.flatten(0, 1).contiguous())
        self.register_buffer("bias", bias[member].masked_fill(~real, float("-inf")).flatten())
        self.register_buffer("member", member.flatten())
        self.register_buffer("place", _places(member.flatten(), weight.size(0)))

    def forward(self, item: Tensor) -> Tensor:
        """Return the embeddings of items. (...) -> (..., D)."""
        return self.weight[self.place[item]]

    def product(self, hidden: Tensor, bias: Tensor) -> Tensor:
        """Score every model index, exactly, like `Items.product`. (B, D), (n + 1,) -> (B, n + 1)."""
        return (hidden @ self.weight.t()).index_select(1, self.place) + bias

    def best(self, hidden: Tensor, bias: Tensor, exclude: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """Return the k best items of the probed cells and their scores, like `Items.best`.

        Where these have too few that are not excluded, all items are scored: an answer is never shorter for it.
        """
        if self.probes == 0:
            return masked_top_k(self.product(hidden, bias), exclude, k)
        probes = min(self.probes, self.centre.size(0))
        coarse = torch.addmm(self.centre_bias, hidden, self.centre.t())  # (B, C)
        cells = torch.topk(coarse, probes, dim=1, sorted=False)[1]  # (B, P)
        scores = self.probed(hidden, cells) + self.bias.view(-1, self.cell)[cells].flatten(1)  # (B, P x M)
        # Of the k + E best, E at most are excluded. To compare all items with all excluded ones would take longer.
        found, at = torch.topk(scores, min(k + exclude.size(1), scores.size(1)), dim=1)
        items = self.member.view(-1, self.cell)[cells].flatten(1).gather(1, at)
        out = (items.unsqueeze(2) == exclude.unsqueeze(1)).any(2)  # (B, k + E)
        found = found.masked_fill(out, float("-inf"))
        if found.size(1) < k:
            return masked_top_k(self.product(hidden, bias), exclude, k)
        best, place = torch.topk(found, k, dim=1)
        items = items.gather(1, place).masked_fill(torch.isinf(best), 0)
        short = torch.isinf(best).any(1)
        if bool(short.any()):
            all_items, all_best = masked_top_k(self.product(hidden[short], bias), exclude[short], k)
            items[short], best[short] = all_items, all_best
        return items, best

    def probed(self, hidden: Tensor, cells: Tensor) -> Tensor:
        """Multiply each state with the items of its own cells. (B, D), (B, P) -> (B, P x M).

        On a CPU row by row: a row's items then stay in a core's cache.
        """
        rows, probes = cells.size(0), cells.size(1)
        by_cell = self.weight.view(self.centre.size(0), -1)  # (C, M x D)
        at_once = rows if hidden.is_cuda else 1
        scores = hidden.new_empty([rows, probes * self.cell])
        for first in range(0, rows, max(1, at_once)):
            part = cells[first : first + at_once]
            near = by_cell.index_select(0, part.flatten()).view(part.size(0), probes * self.cell, hidden.size(1))
            scores[first : first + at_once] = torch.bmm(near, hidden[first : first + at_once].unsqueeze(2)).squeeze(2)
        return scores


def cells_of(vectors: Tensor) -> Tensor:
    """Sort vectors into cells of like ones, in two levels of k-means; equal vectors give equal cells.

    Args:
        vectors: (n, D).

    Returns:
        int64 (C, M), the numbers of the vectors from 1 on, each once; 0 where a cell has fewer.
    """
    count = max(1, round(len(vectors) / _CLUSTER))
    rough = k_means(vectors, max(1, round(math.sqrt(count))))
    cells: list[Tensor] = []
    for number in range(int(rough.max()) + 1):
        (rows,) = torch.nonzero(rough == number, as_tuple=True)
        if not len(rows):
            continue
        fine = k_means(vectors[rows], max(1, round(len(rows) / _CLUSTER)))
        order = torch.argsort(fine, stable=True)
        for cluster in rows[order].split([size for size in torch.bincount(fine).tolist() if size]):
            cells += _cut(vectors, cluster)
    return torch.stack(cells)


def k_means(vectors: Tensor, count: int) -> Tensor:
    """Return the cluster of each vector, from 0 on; some may be empty (Lloyd 1982). (n, D) -> int64 (n,)."""
    count = min(count, len(vectors))
    drawn = torch.randperm(len(vectors), generator=torch.Generator().manual_seed(0))[:count]
    centres = vectors[drawn].clone()
    nearest = torch.zeros(len(vectors), dtype=torch.int64)
    for _ in range(_ROUNDS if count > 1 else 0):
        squares = centres.square().sum(1)
        nearest = torch.cat(
            [torch.addmm(squares, part, centres.t(), alpha=-2.0).argmin(1) for part in vectors.split(_ROWS_AT_ONCE)]
        )
        sizes = torch.bincount(nearest, minlength=count)
        sums = torch.zeros_like(centres).index_add_(0, nearest, vectors)
        centres = torch.where(sizes.unsqueeze(1) > 0, sums / sizes.clamp(min=1).unsqueeze(1), centres)
    return nearest


def _cut(vectors: Tensor, cluster: Tensor) -> list[Tensor]:
    """Cut a cluster across its longest side into cells; the last one may have empty places."""
    offset = vectors[cluster] - vectors[cluster].mean(0)
    farthest = offset[offset.square().sum(1).argmax()]
    along = cluster[torch.argsort(offset @ farthest, stable=True)] + 1
    return [torch.nn.functional.pad(cell, [0, CELL - len(cell)]) for cell in along.split(CELL)]


def _places(member: Tensor, count: int) -> Tensor:
    """Return the place of each model index; that of 0 is an empty one. (C x M,) -> (count,)."""
    places = torch.zeros(count, dtype=torch.int64)
    places[member] = torch.arange(len(member))
    return places

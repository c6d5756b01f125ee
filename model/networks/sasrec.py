"""SASRec: a causal transformer over a user's history (Kang and McAuley 2018).

Beside the paper: positions are counted from the oldest kept item, so a history that grows by one item changes nothing
about the earlier ones; each item has a bias, so an empty history is answered by popularity; and the loss is the cross
entropy of the next item (Klenitskiy and Vasilev 2023).
"""

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.datasets.interactions import Ints
from model.errors import TrainingError
from model.networks.attention import AttentionBlock, joined
from model.networks.hstu import HSTUBlock
from model.networks.sequence import SequenceConfig, SequenceRecommender


@dataclass(frozen=True, slots=True)
class SASRecConfig(SequenceConfig):
    """The size of the model, which reads the newest `history_length` items only.

    Attributes:
        layers: blocks.
        heads: attention heads.
        head_dim: width of a head; `dim` / `heads` if 0.
        feed: width inside a feed-forward layer; 2 `dim` if 0.
        block: the kind of the layers: transformer blocks, or those of `model.networks.hstu`.
    """

    layers: int = 2
    heads: int = 2
    head_dim: int = 0
    feed: int = 0
    block: Literal["transformer", "hstu"] = "transformer"

    def __post_init__(self) -> None:
        if not self.head_dim and self.dim % self.heads:
            msg = f"heads must divide dim, and {self.heads} does not divide {self.dim}"
            raise TrainingError(msg)

    @property
    def head_width(self) -> int:
        """Width of a head."""
        return self.head_dim or self.dim // self.heads

    @property
    def feed_width(self) -> int:
        """Width inside a feed-forward layer."""
        return self.feed or 2 * self.dim

    def build(self, counts: Ints) -> "SASRec":
        """Return the untrained model; counts as in `SequenceRecommender`."""
        return SASRec(self, counts)


class CausalAttention(nn.Module):  # type: ignore[misc]  # torch is untyped here
    """Multi-head self-attention in which an item attends to itself and the older items only."""

    heads: int

    def __init__(self, config: SASRecConfig) -> None:
        super().__init__()
        self.heads = config.heads
        width = config.heads * config.head_width
        self.project_in = nn.Linear(config.dim, 3 * width)
        self.project_out = nn.Linear(width, config.dim)

    def read(self, x: Tensor) -> Tensor:
        """Project items to queries, keys and values. (B, L, D) -> (3, B, H, L, head width)."""
        batch, length, _ = x.shape
        return self.project_in(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)

    def attend(self, query: Tensor, kept: Tensor, mask: Tensor) -> Tensor:
        """Attend from R items to L. (B, H, R, head width), (2, B, H, L, head width), (B, 1, R, L) -> (B, R, D)."""
        mixed = F.scaled_dot_product_attention(query, kept[0], kept[1], attn_mask=mask)  # (B, H, R, head width)
        return self.project_out(joined(mixed))


class TransformerBlock(AttentionBlock):
    """One transformer block: attention, then a feed-forward layer, each on a normed residual."""

    def __init__(self, config: SASRecConfig) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(config.dim)
        self.attention = CausalAttention(config)
        self.norm_feed = nn.LayerNorm(config.dim)
        self.feed = nn.Sequential(
            nn.Linear(config.dim, config.feed_width), nn.GELU(), nn.Linear(config.feed_width, config.dim)
        )
        self.drop = nn.Dropout(config.dropout)

    def read(self, x: Tensor) -> Tensor:
        """Project items to queries, keys and values. (B, L, D) -> (3, B, H, L, head width)."""
        return self.attention.read(self.norm_attention(x))

    def kept(self, parts: Tensor) -> Tensor:
        """Return keys and values. (3, B, H, L, head width) -> (2, B, H, L, head width)."""
        return parts[1:]

    def attend(self, x: Tensor, parts: Tensor, kept: Tensor, mask: Tensor, behind: Tensor) -> Tensor:
        """Attend, and apply the feed-forward layer.

        (B, R, D), (3, B, H, R, head width), (2, B, H, L, head width), (B, 1, R, L), any -> (B, R, D).
        """
        x = x + self.drop(self.attention.attend(parts[0], kept, mask))
        return x + self.drop(self.feed(self.norm_feed(x)))


class SASRec(SequenceRecommender):
    """A model that scores items by the dot product of the newest hidden state with their embeddings.

    It ignores `weight` and `age_s`, and reads only the items in their order.
    """

    history_length: int

    def __init__(self, config: SASRecConfig, counts: Ints) -> None:
        """Make the untrained model; counts as in `SequenceRecommender`."""
        super().__init__(config, counts)
        self.history_length = config.history_length
        self.position = nn.Embedding(config.history_length + 1, config.dim, padding_idx=0)
        self.blocks = nn.ModuleList()
        for _ in range(config.layers):
            if config.block == "hstu":
                block: AttentionBlock = HSTUBlock(
                    dim=config.dim,
                    heads=config.heads,
                    head_width=config.head_width,
                    length=config.history_length,
                    dropout=config.dropout,
                )
            else:
                block = TransformerBlock(config)
            self.blocks.append(block)
        self.norm = nn.LayerNorm(config.dim)
        self.drop = nn.Dropout(config.dropout)
        nn.init.normal_(self.item.weight, std=0.02)
        nn.init.normal_(self.position.weight, std=0.02)

    def hidden(self, history: Tensor) -> Tensor:
        """Return the state after each item; zero at padding. (B, L) -> (B, L, D)."""
        return self.newest(history, history.size(1))

    def newest(self, history: Tensor, rows: int) -> Tensor:
        """Return the states after the newest R = `rows` items; the last block computes no more. (B, L) -> (B, R, D)."""
        real = history > 0  # (B, L)
        length = history.size(1)
        causal = torch.ones(length, length, dtype=torch.bool, device=history.device).tril()
        itself = torch.eye(length, dtype=torch.bool, device=history.device)
        # Padding attends to itself only: a row of softmax over nothing would be NaN.
        mask = (causal & real.unsqueeze(1) | itself).unsqueeze(1)  # (B, 1, L, L)
        behind = distances(length, history.device)  # (1, L, L)
        x = self.drop(self.item(history) + self.position(real.cumsum(1)))  # (B, L, D)
        for number, block in enumerate(self.blocks):
            seen = rows if number + 1 == len(self.blocks) else length
            x = block(x, mask[:, :, -seen:], behind[:, -seen:])  # (B, seen, D)
        return self.norm(x) * real[:, -rows:].unsqueeze(2)

    def scores(self, history: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        """Score every model index by the newest state, or by the bias alone if there is no history. -> (B, n + 1)."""
        return self.logits(self.last(history))

    def last(self, history: Tensor) -> Tensor:
        """Return the newest state; zero if there is no history. (B, L) -> (B, D)."""
        if history.size(1) == 0:
            return self.bias.new_zeros(history.size(0), self.position.embedding_dim)
        return self.newest(history[:, -self.history_length :], 1).squeeze(1)

    def forward(self, history: Tensor, weight: Tensor, age_s: Tensor, exclude: Tensor) -> tuple[Tensor, Tensor]:
        """Return the best items and their scores, as `Recommender.forward`. (B, L) x 3, (B, E) -> (B, K) x 2."""
        return self.best(self.last(history), exclude)


def distances(length: int, device: torch.device) -> Tensor:
    """Return the distance from each of L items back to each other, 0 where that is not older. -> int64 (1, L, L)."""
    place = torch.arange(length, device=device)
    return (place.unsqueeze(1) - place.unsqueeze(0)).clamp(min=0).unsqueeze(0)


# `forward` finds the best items without it, but code that rebuilds a bundle's model compares all scores.
torch.jit.export(SASRec.scores)

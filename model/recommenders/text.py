"""Text similarity: items with titles of similar meaning, by the word vectors of the package wordllama.

It knows every item of the catalogue, including those without any interaction.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from model.recommenders.factors import MeanOfItems, with_neighbors_by
from model.recommenders.kinds import Learned, Progress, Size, TrainingSet
from model.training.train import TrainConfig

_AT_ONCE = 4_096  # titles
SETTINGS = TrainConfig()


@dataclass(frozen=True, slots=True)
class Options:
    """The options of text similarity.

    Attributes:
        decay: weight of an item as a share of the next newer one's.
    """

    decay: float = 0.9


DEFAULTS = Options()


def _title_vectors(titles: tuple[str, ...], progress: Progress) -> Tensor:
    """Return a unit vector for each title, after subtracting the mean of all titles. (n, 256)."""
    import wordllama

    # By default the package reads its tokenizer from a cache folder, and downloads it if it is missing there.
    folder = Path(wordllama.__file__).parent
    words = wordllama.WordLlama.load(cache_dir=folder, disable_download=True)
    blocks: list[npt.NDArray[np.float32]] = []
    for start in range(0, len(titles), _AT_ONCE):
        progress(f"reading titles, {start:,} of {len(titles):,}")
        blocks.append(words.embed(list(titles[start : start + _AT_ONCE]), norm=True))
    vectors = torch.from_numpy(np.concatenate(blocks)).float()
    return F.normalize(vectors - vectors.mean(0), dim=1)


def fit(
    data: TrainingSet, size: Size, settings: TrainConfig, progress: Progress, options: Options = DEFAULTS
) -> Learned:
    """Embed the titles; there is nothing to train."""
    vectors = F.pad(_title_vectors(data.titles, progress), (0, 0, 1, 0))  # (n + 1, 256)
    counts = data.log.histories().counts()
    return with_neighbors_by(vectors, MeanOfItems(vectors, vectors, counts, size.k, options.decay))

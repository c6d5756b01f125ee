"""A log with two tastes: who likes the first eight items meets five of them, who likes the last eight five of those."""

import numpy as np

from model.datasets.interactions import Interactions
from model.recommenders.kinds import Learned, Size, TrainingSet, kind_named
from model.training.train_config import TrainConfig
from tests.unit.model.test_training import log_of

TASTE = 8
ITEMS = 2 * TASTE
USERS = 40
LIBRARIES = {"als": "implicit", "bpr": "implicit", "hybrid": "implicit", "text": "wordllama"}
"""What kinds need beside torch."""
EPOCHS = {"sasrec": 3, "lightgcn": 20, "bpr": 100}
_TOPICS = ("space ship battle among the stars", "romantic wedding comedy in Paris")


def two_tastes(seed: int = 0) -> Interactions:
    """Users with even numbers like items 1 to 8, the others 9 to 16."""
    random = np.random.default_rng(seed)
    met = [(user, random.permutation(TASTE)[:5] + 1 + TASTE * (user % 2)) for user in range(USERS)]
    return log_of([(user, int(items[at]), at) for at in range(5) for user, items in met], ITEMS)


def learned(name: str, log: Interactions | None = None) -> Learned:
    """A kind trained on the two tastes."""
    kind = kind_named(name)
    how = kind.settings()
    if epochs := EPOCHS.get(name.partition(":")[0]):
        how = TrainConfig(epochs=epochs, learning_rate=1e-2)
    titles = tuple(f"{_TOPICS[n // TASTE]}, part {n % TASTE + 1}" for n in range(ITEMS))
    return kind.learn(TrainingSet(log or two_tastes(), titles), Size(dim=16, k=10), how, lambda _: None)

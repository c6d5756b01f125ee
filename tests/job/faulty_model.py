"""A model that fails on purpose: it raises after one item and hangs after another, and is popularity otherwise."""

from pathlib import Path

import torch
from torch import Tensor

from model.bundles.bundle import Bundle, Contents, Manifest, Training, write_bundle
from model.bundles.torchscript import save_script
from model.networks.recommender import Recommender

ITEMS = tuple(f"item-{number}" for number in range(50))
RAISES_AFTER = ITEMS[0]
HANGS_AFTER = ITEMS[1]


class Faulty(Recommender):
    """Scores fall with the model index."""

    def scores(self, history: Tensor, weight: Tensor, age_s: Tensor) -> Tensor:
        newest = history[:, -1]
        if bool((newest == 1).any()):
            raise RuntimeError("planted")  # noqa: EM101 - TorchScript takes no other form
        burden = torch.ones(400, 400)
        if bool((newest == 2).any()):
            for _ in range(1_500):
                burden = torch.tanh(burden @ burden)
        falling = torch.arange(51, 0, -1).float() + 0 * burden[0, 0]  # (n + 1,)
        return falling.expand(history.size(0), 51).clone()  # (B, n + 1)


def write_faulty_bundle(path: Path) -> Bundle:
    return write_model(path, "faulty", Faulty(len(ITEMS), 20))


def write_model(path: Path, name: str, model: Recommender) -> Bundle:
    """A bundle of the model over `ITEMS`."""
    count = len(ITEMS)
    contents = Contents(
        model=save_script(model),
        vocabulary=ITEMS,
        titles=ITEMS,
        groups=("",) * count,
        neighbors=torch.zeros(count + 1, 1, dtype=torch.int32).numpy(),
        popularity=tuple((item, 1) for item in ITEMS),
    )
    training = Training(dataset="none", fingerprint="0" * 64, cut_off=0, behaviors=0)
    manifest = Manifest(
        name=name,
        version="1",
        created_at="2026-01-01T00:00:00+00:00",
        history_length=50,
        k=20,
        training=training,
        metrics={},
    )
    return write_bundle(path, contents, manifest)

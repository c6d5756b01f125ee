"""A model that obeys a gate (`job.drills.gate`): it answers as trained, or fails."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from model.bundles.bundle import Bundle, Contents, load_module, write_bundle
from model.bundles.torchscript import save_script
from model.networks.recommender import Recommender


class _Gated(Recommender):
    """A recommender's own answers, unless its gate says otherwise."""

    gate: str

    def __init__(self, inner: torch.nn.Module, items: int, k: int, gate: Path) -> None:
        super().__init__(items, k)
        self.inner = inner
        self.gate = str(gate)

    def forward(self, history: Tensor, weight: Tensor, age_s: Tensor, exclude: Tensor) -> tuple[Tensor, Tensor]:
        """Return the answers, or break the contract. (B, L) x 3, (B, E) -> (B, K) x 2."""
        # The size depends on the input: else TorchScript may read the file once and for all.
        read = torch.from_file(self.gate, False, min(1, history.size(0)), dtype=torch.uint8)
        how = int(read.sum())
        items, scores = self.inner(history, weight, age_s, exclude)
        if how == 1:
            raise RuntimeError("the drill has the model fail")  # noqa: EM101 - TorchScript takes no other form
        if how == 2:
            scores = scores * float("nan")
        if how == 3:
            items, scores = items[:, 1:], scores[:, 1:]
        if how == 4:
            items = items + 1000000
        return items, scores


def write_gated(bundle: Bundle, path: Path, gate: Path, version: str | None = None) -> Bundle:
    """Write a bundle with the same model behind a gate, which has to be open; its version stays if none is given."""
    manifest = bundle.manifest
    contents = Contents(
        model=save_script(_Gated(load_module(bundle), manifest.items, manifest.k, gate)),
        vocabulary=bundle.vocabulary,
        titles=bundle.titles,
        groups=bundle.groups,
        neighbors=bundle.neighbors,
        popularity=bundle.popularity,
    )
    return write_bundle(path, contents, replace(manifest, name=path.name, version=version or manifest.version))

"""Saving and loading of TorchScript.

TorchScript is deprecated, but it loads without the model's source and takes any batch size. All deprecated calls go
through `_torchscript`.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from model.networks.recommender import Recommender


@contextmanager
def _torchscript() -> Iterator[Any]:
    """Yield torch.jit with its deprecation warnings silenced."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)
        yield torch.jit


def save_script(model: Recommender) -> bytes:
    """Return the model as the content of a TorchScript file."""
    content = io.BytesIO()
    with _torchscript() as jit:
        jit.save(jit.script(model.eval()), content)
    return content.getvalue()


def load_script(content: bytes, device: str) -> nn.Module:
    """Return the module of a TorchScript file, in evaluation mode on `device`."""
    with _torchscript() as jit:
        return jit.load(io.BytesIO(content), map_location=device).eval()

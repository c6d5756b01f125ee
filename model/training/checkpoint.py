"""The newest checkpoint of a training: one file, which is replaced whole or not at all.

Its first line is the SHA-256 of the rest, which is checked before anything is unpickled. The rest holds tensors,
numbers and names; nothing else is unpickled, so a file from elsewhere runs no code.
"""

import contextlib
import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor

from model.errors import RecloopError
from model.files import draft_of, whole_file
from model.training.train_config import CHECKPOINT

FORMAT = 1


class CheckpointError(RecloopError, ValueError):
    """A checkpoint from which a training cannot go on; the message says why and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingState:
    """A training between two steps.

    Attributes:
        training: digest of the data, the model's size and the settings; only a training with the same one may go on.
        epoch: the current epoch, from 1; one more than there are when all are done.
        step: the number of its steps that are done.
        losses: float64 (step,), the losses of these steps.
        model: the model's weights.
        optimizer: the optimiser's state, such as its moments.
        schedule: the state of the learning rate's schedule.
        precision: the state of the loss scaling.
        windows: the random state that decides the epoch's windows, and those after it.
        random: torch's own random state, process by process; uint8.
        negatives: the random state of the draws that all processes share; uint8.
    """

    training: str
    epoch: int
    step: int
    losses: Tensor
    model: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    schedule: Mapping[str, Any]
    precision: Mapping[str, Any]
    windows: Mapping[str, Any]
    random: list[Tensor]
    negatives: Tensor


def write_checkpoint(folder: Path, state: TrainingState) -> None:
    """Replace the folder's checkpoint; it is on the disk on return."""
    content = io.BytesIO()
    torch.save({"format": FORMAT, **{each.name: getattr(state, each.name) for each in fields(state)}}, content)
    folder.mkdir(parents=True, exist_ok=True)
    with whole_file(folder / CHECKPOINT) as file:
        file.write(hashlib.sha256(content.getbuffer()).hexdigest().encode() + b"\n")
        file.write(content.getbuffer())


def read_checkpoint(folder: Path) -> TrainingState | None:
    """Read the folder's checkpoint; return None if there is none.

    Raises:
        CheckpointError: the file is damaged, holds no training, or is of another release's format.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    digest, _, content = path.read_bytes().partition(b"\n")
    if hashlib.sha256(content).hexdigest().encode() != digest:
        msg = f"{path} is damaged: its sha256 is not the one it names; begin anew without --resume"
        raise CheckpointError(msg)
    try:
        loaded = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError) as error:
        msg = f"{path} holds something else than a training, and is not loaded; begin anew without --resume"
        raise CheckpointError(msg) from error
    found = loaded if isinstance(loaded, dict) else {}
    if (version := found.pop("format", None)) != FORMAT:
        msg = f"{path} has format {version}, this program reads {FORMAT}; begin anew without --resume"
        raise CheckpointError(msg)
    return TrainingState(**found)


def remove_checkpoint(folder: Path) -> None:
    """Remove the folder's checkpoint, and the folder if nothing else is in it."""
    for path in (folder / CHECKPOINT, draft_of(folder / CHECKPOINT)):
        path.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        folder.rmdir()

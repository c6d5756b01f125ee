"""One process's part of a training, from the log to the trained model; all of it where the process is alone."""

import hashlib
import time
from collections.abc import Iterable
from dataclasses import asdict, replace

import numpy as np
import torch

from model.datasets.interactions import Interactions, Ints
from model.networks.losses import negatives_for
from model.networks.sequence import SequenceConfig, SequenceRecommender
from model.training.checkpoint import (
    CheckpointError,
    TrainingState,
    read_checkpoint,
    remove_checkpoint,
    write_checkpoint,
)
from model.training.loop import NextItem, TrainingLoop
from model.training.process_group import ProcessGroup
from model.training.train_config import Checkpoints, OnEpoch, TooLittleDataError, TrainConfig
from model.training.warm_start import start_from
from model.training.windows import WindowSource

_STEPS_PER_CHECK = 16
"""Steps between two checks of the clock: the processes have to agree on the result, which takes about 1 ms."""
_FREE = frozenset({"device", "processes", "precision", "checkpoints", "start"})
"""The fields of `TrainConfig` that may differ when a training is resumed; but a start counts by its name."""


def train_member(
    group: ProcessGroup, training: Interactions, config: SequenceConfig, settings: TrainConfig, on_epoch: OnEpoch
) -> SequenceRecommender:
    """Take part in a training; all processes of the group end with the same model.

    Raises:
        ValueError: no user has two items, so there is nothing to learn from.
        CheckpointError: the training cannot go on from the checkpoint, or the processes do not have the same data,
            options and checkpoint.
    """
    sequences = sequences_of(training)
    torch.manual_seed(settings.seed)
    model = config.build(training.histories().counts())
    if settings.start is not None:
        start_from(model, training.vocabulary, settings.start)
    model.to(group.device)
    windows = WindowSource(sequences, config.history_length, settings.seed)
    negatives = negatives_for(config.items, settings.negatives)
    loop = TrainingLoop(model, windows, negatives, settings, group, NextItem(model, negatives))
    name = name_of(sequences, config, settings)
    if (state := state_to_resume(settings.checkpoints, name)) is not None:
        loop.restore(state)
    own = torch.tensor([int(name[:15], 16), loop.epoch, loop.step])
    if any(not torch.equal(own, other) for other in group.gather(own)):
        msg = (
            "the processes do not have the same data, options and checkpoint: give all machines the same data set, and "
            "a folder of checkpoints that all of them see"
        )
        raise CheckpointError(msg)
    if settings.checkpoints is None:
        loop.run(on_epoch, between=lambda: None)
    else:
        if group.leads and state is None:  # else another training's would be found after this one is killed
            remove_checkpoint(settings.checkpoints.folder)
        loop.run(on_epoch, between=_CheckpointWriter(settings.checkpoints, loop, group, name).write_if_due)
    model.eval()
    return model


def sequences_of(training: Interactions) -> list[Ints]:
    """Return the histories that have a next item, as model indexes, oldest first.

    Raises:
        ValueError: there is none.
    """
    histories = training.histories()
    sequences = [histories.item[rows] for _, rows in histories.rows_by_user() if len(rows) > 1]
    if not sequences:
        msg = "no user has two history behaviours before the cut-off; take more data or a later cut-off"
        raise TooLittleDataError(msg)
    return sequences


def name_of(sequences: Iterable[Ints], config: SequenceConfig, settings: TrainConfig) -> str:
    """Return a digest of all that decides the outcome of a training: equal names, equal trainings."""
    fixed = {name: value for name, value in asdict(replace(settings, start=None)).items() if name not in _FREE}
    digest = hashlib.sha256(repr((config, fixed)).encode())
    if settings.start is not None:
        digest.update(settings.start.name.encode())
    for sequence in sequences:
        digest.update(np.int64(len(sequence)).tobytes() + sequence.tobytes())
    return digest.hexdigest()


def state_to_resume(checkpoints: Checkpoints | None, name: str) -> TrainingState | None:
    """Return the state of the training of that name, or None if it is not to be resumed or has not begun.

    Raises:
        CheckpointError: there is a checkpoint, but of another training, or a damaged one.
    """
    if checkpoints is None or not checkpoints.resume:
        return None
    state = read_checkpoint(checkpoints.folder)
    if state is not None and state.training != name:
        msg = (
            f"{checkpoints.folder} has the checkpoint of a training on other data or with other options; "
            "repeat them as they were, or begin anew without --resume"
        )
        raise CheckpointError(msg)
    return state


class _CheckpointWriter:
    """The writer of checkpoints; all processes check whether one is due, the one that leads writes it."""

    def __init__(self, checkpoints: Checkpoints, loop: TrainingLoop, group: ProcessGroup, name: str) -> None:
        self._checkpoints = checkpoints
        self._loop = loop
        self._group = group
        self._name = name
        self._written_at = time.monotonic()

    def write_if_due(self) -> None:
        """Write a checkpoint if one is due; to be called after each step and each epoch."""
        if self._loop.step:  # else an epoch has ended, after which one is always due
            if self._loop.step % _STEPS_PER_CHECK:
                return
            is_long_ago = time.monotonic() - self._written_at >= 60 * self._checkpoints.every_minutes
            if not self._group.as_led(yes=is_long_ago):
                return
        state = self._loop.state(self._name)
        if self._group.leads:
            write_checkpoint(self._checkpoints.folder, state)
        self._written_at = time.monotonic()

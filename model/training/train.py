"""Training of a sequence model on the histories of a log, as a library; each epoch is reported to a callback.

One process trains alone; several share each step's windows: `TrainConfig.processes` of this machine, which are started
here, or those that torchrun started, each of which calls `train` itself.
"""

from model.datasets.interactions import Interactions
from model.errors import TrainingError
from model.networks.sequence import SequenceConfig, SequenceRecommender
from model.training.member import train_member
from model.training.process_group import alone, of_torchrun
from model.training.torchrun import member
from model.training.train_config import Checkpoints, EpochDone, OnEpoch, TrainConfig
from model.training.train_together import train_together

__all__ = ["Checkpoints", "EpochDone", "OnEpoch", "TrainConfig", "train"]


def train(
    training: Interactions, config: SequenceConfig, settings: TrainConfig, on_epoch: OnEpoch = lambda _: None
) -> SequenceRecommender:
    """Train a model on the histories in `training`.

    Args:
        training: behaviours before the cut-off, in the vocabulary of `config.items` items.
        config: size and kind of the model.
        settings: of the training. One thread count, seed, number of processes and machine give one result.
        on_epoch: called after each epoch; of torchrun's processes, in the first.

    Raises:
        ValueError: no user has two items, so there is nothing to learn from; or there are fewer GPUs than processes.
        CheckpointError: the training cannot go on from the checkpoint.
        WorkerError: one of several processes raised, or was killed again and again.
    """
    if (one_of := member()) is not None:
        if settings.processes > 1:
            msg = "torchrun starts the processes: leave --processes out, and give torchrun --nproc-per-node"
            raise TrainingError(msg)
        with of_torchrun(one_of, settings.device) as group:
            return train_member(group, training, config, settings, on_epoch)
    if settings.processes > 1:
        return train_together(training, config, settings, on_epoch)
    return train_member(alone(settings.device), training, config, settings, on_epoch)

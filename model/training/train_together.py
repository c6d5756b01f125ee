"""A training shared by several processes of this machine: started here, and resumed when one of them is killed."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from model.datasets.interactions import Interactions
from model.networks.sequence import SequenceConfig, SequenceRecommender
from model.training.member import name_of, sequences_of, state_to_resume, train_member
from model.training.process_group import by_file, check_devices
from model.training.train_config import Checkpoints, OnEpoch, TrainConfig
from model.worker_processes import Worker, run_workers


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """The work of each process; in the folder `rendezvous` they find each other, anew in every attempt."""

    training: Interactions
    config: SequenceConfig
    settings: TrainConfig
    rendezvous: Path
    threads: int

    def __call__(self, worker: Worker) -> None:
        torch.set_num_threads(self.threads)
        settings, checkpoints = self.settings, self.settings.checkpoints
        if worker.attempt and checkpoints is not None:
            settings = replace(settings, checkpoints=replace(checkpoints, resume=True))
        rendezvous = self.rendezvous / f"attempt-{worker.attempt}"
        with by_file(rendezvous, worker.rank, worker.size, settings.device) as group:
            train_member(group, self.training, self.config, settings, worker.tell)


def train_together(
    training: Interactions, config: SequenceConfig, settings: TrainConfig, on_epoch: OnEpoch
) -> SequenceRecommender:
    """Train as `train` does, by `settings.processes` processes; if one is killed, all go on from the last checkpoint.

    Raises:
        ValueError: there is nothing to learn from, or there are fewer GPUs than processes.
        CheckpointError: the training cannot go on from the checkpoint.
        WorkerError: a process raised, or was killed again and again.
    """
    check_devices(settings.device, settings.processes)
    name = name_of(sequences_of(training), config, settings)
    state_to_resume(settings.checkpoints, name)  # so that a bad checkpoint is refused here, and not in the processes
    with tempfile.TemporaryDirectory(prefix="recloop-training-") as scratch:
        checkpoints = settings.checkpoints or Checkpoints(folder=Path(scratch))
        settings = replace(settings, checkpoints=checkpoints)
        work = _Work(
            training=training,
            config=config,
            settings=settings,
            rendezvous=Path(scratch),
            threads=torch.get_num_threads(),
        )
        run_workers(work, settings.processes, on_epoch)
        state = state_to_resume(replace(checkpoints, resume=True), name)
    assert state is not None, "the last thing that the processes do is to write it"
    model = config.build(training.histories().counts())
    model.load_state_dict(state.model)
    model.eval()
    return model

"""A training shared by several processes of this machine: started here, and resumed when one of them is killed."""

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from model.datasets.interactions import Interactions
from model.networks.sequence import SequenceConfig, SequenceRecommender
from model.training.member import name_of, sequences_of, state_to_resume, train_member
from model.training.process_group import by_file, check_devices
from model.training.train_config import Checkpoints, Progress, TrainConfig
from model.worker_processes import Worker, run_workers


@dataclass(frozen=True, slots=True)
class _Work:
    """The work of each process; in the folder `meeting` they find each other, anew in every attempt."""

    training: Interactions
    config: SequenceConfig
    how: TrainConfig
    meeting: Path
    threads: int

    def __call__(self, worker: Worker) -> None:
        torch.set_num_threads(self.threads)
        how = _resumed(self.how) if worker.attempt else self.how
        meeting = self.meeting / f"attempt-{worker.attempt}"
        with by_file(meeting, worker.rank, worker.size, how.device) as group:
            train_member(group, self.training, self.config, how, worker.tell)


def train_together(
    training: Interactions, config: SequenceConfig, how: TrainConfig, progress: Progress
) -> SequenceRecommender:
    """Train as `train` does, by `how.processes` processes; if one is killed, all go on from the last checkpoint.

    Raises:
        ValueError: there is nothing to learn from, or there are fewer GPUs than processes.
        CheckpointError: the training cannot go on from the checkpoint.
        WorkerError: a process raised, or was killed again and again.
    """
    check_devices(how.device, how.processes)
    name = name_of(sequences_of(training), config, how)
    state_to_resume(how.checkpoints, name)  # so that a bad checkpoint is refused here, and not in the processes
    with tempfile.TemporaryDirectory(prefix="recloop-training-") as scratch:
        checkpoints = how.checkpoints or Checkpoints(folder=Path(scratch))
        how = replace(how, checkpoints=checkpoints)
        work = _Work(training, config, how, Path(scratch), torch.get_num_threads())
        run_workers(work, how.processes, progress)
        state = state_to_resume(replace(checkpoints, resume=True), name)
    assert state is not None, "the last thing that the processes do is to write it"
    model = config.build(training.histories().counts())
    model.load_state_dict(state.model)
    model.eval()
    return model


def _resumed(how: TrainConfig) -> TrainConfig:
    assert how.checkpoints is not None
    return replace(how, checkpoints=replace(how.checkpoints, resume=True))

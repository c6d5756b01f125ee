"""The options of the commands that train: recommenders, torch's threads, and a progress bar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.progress import TaskID

from job.commands.output import Screen
from model.recommenders.kinds import KINDS

if TYPE_CHECKING:
    from model.training.train import EpochDone

CUT = 0.8
_OPTIONS_HELP = "Its options may stand behind a name, als:dim=32:decay=0.8; the message on a wrong one lists them."
RECOMMENDERS_HELP = f"{_OPTIONS_HELP} One of: " + "; ".join(f"{name}: {kind.summary}" for name, kind in KINDS.items())


def use_threads(threads: int) -> None:
    """Set torch's threads; 0 lets it choose."""
    if threads:
        import torch

        torch.set_num_threads(threads)


class TrainingProgress:
    """A progress bar of stages and epochs on standard error."""

    def __init__(self) -> None:
        self._bar = Screen(stderr=True).bar(transient=True)
        self._task: TaskID = self._bar.add_task("starting", total=None)

    def __enter__(self) -> TrainingProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, news: EpochDone | str) -> None:
        """Show a stage or a finished epoch."""
        if isinstance(news, str):
            self._bar.reset(self._task, description=news, total=None)
        else:
            stage = f"training, loss {news.loss:.3f}"
            self._bar.update(self._task, completed=news.epoch, total=news.epochs, description=stage)

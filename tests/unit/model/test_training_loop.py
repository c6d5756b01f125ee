"""A training that is shared, broken off, gone on with, or computed in 16 bits is still the same training."""

import hashlib
import io
import weakref
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.datasets.interactions import Ints
from model.networks.sequence import SequenceRecommender
from model.training import loop as training_loop
from model.training.checkpoint import CheckpointError, remove_checkpoint
from model.training.precision import Precision
from model.training.train import Checkpoints, EpochDone, TrainConfig, train
from model.training.train_config import CHECKPOINT
from model.training.windows import WindowSource, own_share
from tests.unit.model.test_training import TINY, cycles

pytestmark = pytest.mark.heavy
LOG = cycles(users=18, length=6)
DROPPING = replace(TINY, dropout=0.3)
SETTINGS = TrainConfig(epochs=3, batch_size=6, learning_rate=1e-2, negatives=6)


class Broken(Exception):
    """Somebody pulled the plug."""


def curve_of(
    settings: TrainConfig, stop_after: int | None = None
) -> tuple[list[EpochDone], SequenceRecommender | None]:
    reports: list[EpochDone] = []

    def on_epoch(done: EpochDone) -> None:
        reports.append(done)
        if done.epoch == stop_after:
            raise Broken

    try:
        return reports, train(LOG, DROPPING, settings, on_epoch)
    except Broken:
        return reports, None


def kept_in(folder: Path, **more: object) -> TrainConfig:
    return replace(SETTINGS, checkpoints=replace(Checkpoints(folder=folder), **more))  # type: ignore[arg-type]


@pytest.mark.parametrize("every_minutes", [0.0, 10.0], ids=["inside an epoch", "between epochs"])
def test_a_training_that_was_broken_off_ends_as_if_it_had_not_been(tmp_path: Path, every_minutes: float) -> None:
    whole, expected = curve_of(replace(SETTINGS, batch_size=1))  # 18 steps an epoch, so that the clock is checked
    before, _ = curve_of(replace(kept_in(tmp_path, every_minutes=every_minutes), batch_size=1), stop_after=2)
    after, found = curve_of(replace(kept_in(tmp_path, resume=True), batch_size=1))
    assert [done.epoch for done in after] == [2, 3]
    assert before[:1] + after == whole
    assert expected is not None
    assert found is not None
    assert all(torch.equal(w, found.state_dict()[name]) for name, w in expected.state_dict().items())


def test_a_finished_training_is_handed_back_at_once(tmp_path: Path) -> None:
    curve_of(kept_in(tmp_path))
    assert curve_of(kept_in(tmp_path, resume=True))[0] == []


def test_without_a_checkpoint_a_training_begins(tmp_path: Path) -> None:
    assert len(curve_of(kept_in(tmp_path / "nothing", resume=True))[0]) == 3


def test_without_resume_an_older_checkpoint_is_gone_from_the_beginning(tmp_path: Path) -> None:
    curve_of(kept_in(tmp_path), stop_after=2)
    assert len(curve_of(kept_in(tmp_path), stop_after=1)[0]) == 1
    assert not (tmp_path / CHECKPOINT).exists()


def test_another_training_is_not_gone_on_with(tmp_path: Path) -> None:
    curve_of(kept_in(tmp_path), stop_after=2)
    with pytest.raises(CheckpointError, match="other options"):
        curve_of(replace(kept_in(tmp_path, resume=True), seed=1))


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    curve_of(kept_in(tmp_path), stop_after=2)
    file = tmp_path / CHECKPOINT
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        curve_of(kept_in(tmp_path, resume=True))


def test_the_windows_of_an_epoch_are_gone_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[weakref.ref[Ints]] = []
    left: list[list[bool]] = []
    draw = WindowSource.draw

    def watched(source: WindowSource) -> Ints:
        windows = draw(source)
        drawn.append(weakref.ref(windows))
        return windows

    monkeypatch.setattr(WindowSource, "draw", watched)
    train(LOG, DROPPING, SETTINGS, lambda _: left.append([each() is not None for each in drawn]))
    assert left == [[False] * epoch for epoch in (1, 2, 3)]


class Harmful:
    """Unpickled, it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.file,)


def test_a_checkpoint_from_elsewhere_runs_no_code(tmp_path: Path) -> None:
    content = io.BytesIO()
    torch.save({"format": 1, "model": Harmful(tmp_path / "harm")}, content)
    digest = hashlib.sha256(content.getvalue()).hexdigest().encode()
    (tmp_path / CHECKPOINT).write_bytes(digest + b"\n" + content.getvalue())
    with pytest.raises(CheckpointError, match="not loaded"):
        curve_of(kept_in(tmp_path, resume=True))
    assert not (tmp_path / "harm").exists()
    torch.load(io.BytesIO(content.getvalue()), weights_only=False)
    assert (tmp_path / "harm").exists()


def test_a_removed_checkpoint_takes_its_folder_along_unless_something_else_is_there(tmp_path: Path) -> None:
    for folder in (tmp_path / "empty", tmp_path / "full"):
        curve_of(kept_in(folder), stop_after=2)
    (tmp_path / "full" / "mine").touch()
    for folder in (tmp_path / "empty", tmp_path / "full"):
        remove_checkpoint(folder)
    assert [str(path.relative_to(tmp_path)) for path in sorted(tmp_path.rglob("*"))] == ["full", "full/mine"]


@given(st.lists(st.integers(1, 5), min_size=1, max_size=12), st.integers(1, 4))
def test_processes_take_every_target_of_a_step_once(lengths: list[int], size: int) -> None:
    windows = np.array([[0] * (5 - n) + [number + 1] * (n + 1) for number, n in enumerate(lengths)])
    taken = [own_share(windows, rank, size) for rank in range(size)]
    counting = [(own, share) for own, share in taken if share]
    assert sum(share for _, share in taken) == pytest.approx(1.0)
    assert sorted(row[-1] for own, _ in counting for row in own) == list(range(1, len(lengths) + 1))
    assert all(share == pytest.approx((own[:, :-1] > 0).sum() / sum(lengths)) for own, share in counting)


@pytest.mark.parametrize("lower", [torch.bfloat16, torch.float16])
def test_sixteen_bits_train_about_the_same(monkeypatch: pytest.MonkeyPatch, lower: torch.dtype) -> None:
    settings = TrainConfig(epochs=10, batch_size=12, learning_rate=2e-2, negatives=6)
    losses: list[list[float]] = [[], []]
    train(LOG, TINY, settings, lambda done: losses[0].append(done.loss))
    monkeypatch.setattr(training_loop, "precision_of", lambda _name, _device: Precision("cpu", lower))
    train(LOG, TINY, settings, lambda done: losses[1].append(done.loss))
    assert losses[1] != losses[0]
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"precision": "mixed"}, "needs a GPU"),
        ({"processes": 0}, "1 or more"),
        ({"precision": "half"}, "full or mixed"),
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(SETTINGS, **wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("epochs", [1, 5, 9, 10, 11])
def test_any_number_of_steps_can_be_taken(epochs: int) -> None:
    assert len(curve_of(TrainConfig(epochs=epochs, batch_size=100))[0]) == epochs


def test_torchrun_and_processes_are_not_mixed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUN_ID", "RESTART_COUNT"):
        monkeypatch.setenv(f"TORCHELASTIC_{name}", "0")
    for name, value in (("RANK", "0"), ("LOCAL_RANK", "0"), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match="leave --processes out"):
        train(LOG, TINY, replace(SETTINGS, processes=2))

"""Several real processes train the model that one trains, whatever happens to one of them."""

import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest
import torch

from model.datasets.interactions import Interactions
from model.networks.sequence import SequenceConfig, SequenceRecommender
from model.training.process_group import by_file, check_devices
from model.training.train import Checkpoints, EpochDone, TrainConfig, train
from model.worker_processes import Worker, run_workers
from tests.unit.model.test_sequences import CONFIGS
from tests.unit.model.test_training import cycles, log_of

HOW = TrainConfig(epochs=6, batch_size=9, learning_rate=1e-2)
Curve = dict[int, float]


def uneven() -> Interactions:
    """Users with 2 to 15 items: each window has another number of targets, and the last step has fewer windows."""
    rows = [(user, (user + at) % 12 + 1, at) for user in range(25) for at in range(2 + user * 7 % 14)]
    return log_of(sorted(rows, key=lambda row: row[2]))


def trained(
    how: TrainConfig, config: SequenceConfig = CONFIGS["sasrec"], log: Interactions | None = None
) -> tuple[Curve, SequenceRecommender]:
    curve: Curve = {}
    model = train(log or uneven(), config, how, lambda news: curve.update({news.epoch: news.loss}))
    return curve, model


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("sasrec", {"processes": 2, "epochs": 2}),
        pytest.param("sasrec", {"processes": 3, "batch_size": 2}, marks=pytest.mark.slow),  # one is always without
        pytest.param("gru", {"processes": 2, "negatives": 6}, marks=pytest.mark.slow),
    ],
)
def test_several_processes_give_the_loss_curve_of_one(name: str, more: dict[str, int]) -> None:
    how = replace(HOW, **more)  # type: ignore[arg-type]
    alone, _ = trained(replace(how, processes=1), CONFIGS[name])
    together, _ = trained(how, CONFIGS[name])
    assert together == pytest.approx(alone, abs=2e-3)
    assert together[1] == pytest.approx(alone[1], abs=1e-6)


@pytest.mark.slow
def test_with_dropout_they_learn_as_much() -> None:
    how = replace(HOW, epochs=12, learning_rate=2e-2)
    config = replace(CONFIGS["sasrec"], dropout=0.2)
    (alone, _), (together, _) = (trained(replace(how, processes=n), config, cycles(24, 9)) for n in (1, 2))
    assert alone[12] < alone[1] / 2
    assert together[12] == pytest.approx(alone[12], rel=0.15)


@pytest.mark.slow
def test_a_killed_worker_changes_no_loss(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    how = replace(HOW, processes=2, checkpoints=Checkpoints(folder=tmp_path))
    config = replace(CONFIGS["sasrec"], dropout=0.2)
    undisturbed, expected = trained(replace(how, checkpoints=None), config)
    curve: Curve = {}
    victims: list[int] = []

    def hear(news: EpochDone) -> None:
        curve[news.epoch] = news.loss
        if news.epoch == 4 and not victims:
            victims.extend(each.pid for each in psutil.Process().children() if "spawn_main" in " ".join(each.cmdline()))
            os.kill(victims[-1], signal.SIGKILL)

    found = train(uneven(), config, how, hear)
    assert len(victims) == 2
    assert "was killed by SIGKILL: begun again" in caplog.text
    assert curve == undisturbed
    assert all(torch.equal(w, found.state_dict()[name]) for name, w in expected.state_dict().items())
    assert not [pid for pid in victims if psutil.pid_exists(pid)]


@pytest.mark.slow
def test_a_training_is_gone_on_with_by_another_number_of_processes(tmp_path: Path) -> None:
    checkpoints = Checkpoints(folder=tmp_path)
    whole, _ = trained(HOW)

    def stop(news: EpochDone) -> None:
        if news.epoch == 4:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        train(uneven(), CONFIGS["sasrec"], replace(HOW, checkpoints=checkpoints), stop)
    rest, _ = trained(replace(HOW, processes=2, checkpoints=replace(checkpoints, resume=True)))
    assert set(rest) == {4, 5, 6}
    assert rest == pytest.approx({epoch: whole[epoch] for epoch in rest}, abs=2e-3)


@dataclass(frozen=True)
class Listening:
    """Meets, and tells on which addresses the process listens."""

    meeting: Path

    def __call__(self, worker: Worker) -> None:
        with by_file(self.meeting, worker.rank, worker.size, "cpu") as group:
            group.gather(torch.ones(1))
            connections = psutil.Process().net_connections()
            worker.tell([each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN])
            group.gather(torch.ones(1))


@pytest.mark.slow
def test_nothing_listens_beyond_loopback(tmp_path: Path) -> None:
    heard: list[list[str]] = []
    run_workers(Listening(tmp_path / "meeting"), 2, heard.append)
    assert {address for each in heard for address in each} == {"127.0.0.1"}
    assert len(heard) == 2


def test_each_process_needs_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match="there are 1"):
        check_devices("cuda", 2)
    with pytest.raises(ValueError, match="give device cuda"):
        check_devices("cuda:0", 2)
    check_devices("cuda:0", 1)
    check_devices("cpu", 8)

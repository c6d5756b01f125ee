"""Tune on the validation, run the test once per seed, and judge every list by `model.evaluation.evaluate`."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model.evaluation.evaluate import Gains, Ranking, Targets, ranking_of
from tests.bench.accuracy import ours, theirs
from tests.bench.accuracy.cells import Cell, Outcome, Store
from tests.bench.accuracy.plan import Contender
from tests.bench.accuracy.sets import Problem
from tests.bench.accuracy.task import Ints, Options

LISTED = 20
TOP = 10
Told = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the validation said.

    Attributes:
        options: the settings that won.
        epochs: and the number of epochs; 0 where there are none to choose.
        ndcg: NDCG@10 on the validation; None where there was nothing to choose.
        tried: settings that were tried.
    """

    options: Options
    epochs: int
    ndcg: float | None
    tried: int


@dataclass(frozen=True, slots=True)
class Result:
    """A contender on one data set's test.

    Attributes:
        contender: who.
        chosen: with which settings.
        hr: HR@10 of each seed.
        ndcg: NDCG@10 of each seed.
        hits: mean over the seeds of each target's hit, (T,).
        gains: mean over the seeds of each target's gain, (T,).
        cpu_s: CPU seconds of a training, the mean.
    """

    contender: Contender
    chosen: Chosen
    hr: tuple[float, ...]
    ndcg: tuple[float, ...]
    hits: Gains
    gains: Gains
    cpu_s: float


class Contest:
    """One data set's trainings.

    Attributes:
        problem: the data set.
    """

    def __init__(self, problem: Problem, store: Store, told: Told) -> None:
        self.problem = problem
        self._store = store
        self._told = told

    def train(self, contender: Contender, seeds: int, choices: int | None = None) -> None:
        """Trains what is not there yet.

        Args:
            contender: whom.
            seeds: trainings for the test.
            choices: try the first so many settings only; None tries them all.

        Raises:
            PeerError: a peer cannot be run.
        """
        if choosing(contender):
            self._fill(self._candidates(contender)[:choices])
        chosen = self.chosen(contender)
        assert chosen is not None
        self._fill(self._finals(contender, chosen, seeds))

    def chosen(self, contender: Contender) -> Chosen | None:
        """The best of what was tried on the validation; None while nothing was."""
        if not choosing(contender):
            return Chosen(contender.choices[0], contender.checkpoints[0], None, 1)
        tried = [(cell, out) for cell in self._candidates(contender) if (out := self._store.get(cell)) is not None]
        found = [
            (float(self._judged(lists, "validation").gains(TOP).mean()), cell.options, epochs)
            for cell, outcome in tried
            for epochs, lists in outcome.lists.items()
        ]
        if not found:
            return None
        ndcg, options, epochs = max(found, key=lambda one: one[0])
        return Chosen(options, epochs, ndcg, len(tried))

    def result(self, contender: Contender, seeds: int) -> Result | None:
        """What the test says with as many of the seeds as are there; None while there is none."""
        if (chosen := self.chosen(contender)) is None:
            return None
        outcomes = [self._store.get(cell) for cell in self._finals(contender, chosen, seeds)]
        there = [outcome for outcome in outcomes if outcome is not None]
        if not there:
            return None
        rankings = [self._judged(next(iter(outcome.lists.values())), "test") for outcome in there]
        hits, gains = (np.array([each(ranking) for ranking in rankings]) for each in (_hits, _gains))
        return Result(
            contender=contender,
            chosen=chosen,
            hr=tuple(hits.mean(1).tolist()),
            ndcg=tuple(gains.mean(1).tolist()),
            hits=hits.mean(0),
            gains=gains.mean(0),
            cpu_s=float(np.mean([outcome.cpu_s for outcome in there])),
        )

    def _candidates(self, contender: Contender) -> list[Cell]:
        return [self._cell(contender, "validation", choice, contender.checkpoints, 0) for choice in contender.choices]

    def _finals(self, contender: Contender, chosen: Chosen, seeds: int) -> list[Cell]:
        numbers = range(seeds if contender.seeded else 1)
        return [self._cell(contender, "test", chosen.options, (chosen.epochs,), seed) for seed in numbers]

    def _cell(self, contender: Contender, part: str, options: Options, checkpoints: tuple[int, ...], seed: int) -> Cell:
        name = contender.name
        version = theirs.version() if contender.is_peer else ours.version_of(name, options)
        return Cell(self.problem.fingerprint, part, name, version, options, checkpoints, seed)

    def _fill(self, cells: Sequence[Cell]) -> None:
        missing = [cell for cell in cells if self._store.get(cell) is None]
        for cell, outcome in self._outcomes(missing):
            self._store.put(cell, outcome)
            self._told(f"{self.problem.name}, {cell.part}: {cell.name} {dict(cell.options)}, {outcome.cpu_s:.0f} CPU s")

    def _outcomes(self, cells: Sequence[Cell]) -> Iterator[tuple[Cell, Outcome]]:
        if not cells:
            return
        split = self.problem.splits[cells[0].part]
        if "." in cells[0].name:
            yield from theirs.lists_of(cells, split, LISTED)
            return
        for cell in cells:
            yield cell, ours.lists_of(cell, split, self.problem.catalogue, LISTED)

    def _judged(self, lists: Ints, part: str) -> Ranking:
        targets = self.problem.targets[part]
        return ranking_of(without_met(lists, targets), targets.target)


def choosing(contender: Contender) -> bool:
    """Whether there is anything to choose."""
    return len(contender.choices) * len(contender.checkpoints) > 1


def without_met(lists: Ints, targets: Targets) -> Ints:
    """The lists less what their users have met, which the protocol masks: a peer knows of histories alone. (T, top)."""
    found = np.zeros_like(lists)
    for number, (items, seen) in enumerate(zip(lists, targets.seen, strict=True)):
        left = items[~np.isin(items, seen)]
        found[number, : len(left)] = left
    return found


def _hits(ranking: Ranking) -> Gains:
    return ranking.hits(TOP).astype(np.float64)


def _gains(ranking: Ranking) -> Gains:
    return ranking.gains(TOP)

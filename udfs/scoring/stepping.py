"""Incremental scoring: the state after each history of a batch, by one step where the state before it is kept."""

import logging
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from model.bundles.bundle import Bundle
from model.bundles.trial import STEP_METHODS, STEP_TOLERANCE
from udfs.elements import ScoredBy, TrackedBehavior
from udfs.scoring.device import Runner
from udfs.scoring.hash_index import Ints
from udfs.scoring.inputs import Floats, KnownItems, ModelInputs, used_columns
from udfs.scoring.kept_states import KeptStates, Plan, Room, users_in
from udfs.scoring.scoring_rules import ScoringRules

_log = logging.getLogger(__name__)
_TRIED_HISTORIES = 3
_TRIED_ITEMS = 8
"""Most items of each history that a bundle's steps are tried with."""


class Reached(NamedTuple):
    """The states after the histories of a batch.

    Attributes:
        states: (B, S).
        histories: the newest L known items of each. (B, L).
        known: all known items of each.
        scored_by: the method by which each was reached.
    """

    states: Floats
    histories: Ints
    known: list[KnownItems]
    scored_by: list[ScoredBy]


class Stepper:
    """A stepper from kept states to those of new histories; calls may come from several threads at a time."""

    def __init__(self, module: Any, device: Runner, inputs: ModelInputs, rules: ScoringRules) -> None:
        self._module = module
        self._device = device
        self._inputs = inputs
        self._width = int(module.initial_state(1).shape[1])
        self._room = Room(rules.kept_mb * 2**20)
        self._users = max(1, min(rules.kept_users, users_in(self._room, self._width, inputs.length)))
        self._free = deque([self._empty()], maxlen=1)

    def warm_up(self, history: Ints, exclude: Ints) -> None:
        """Run empty histories through all that is called later. (B, L), (B, E)."""
        nothing = np.zeros(history.shape, dtype=np.float32)
        (states,) = self._device.run(self._module.state_after, history, nothing)
        states = self._advance(states, history[:, 0] + 1, nothing[:, 0])
        self._device.run(self._module.score, states, exclude)

    def reach(self, tracked: Sequence[TrackedBehavior]) -> Reached:
        """Return the state after each behaviour's history, and keep each user's newest."""
        with self._taken() as kept:
            plan = kept.plan(tracked)
            reached = self._begin(kept, plan, tracked)
            self._walk(plan, tracked, reached)
            kept.keep(tracked, reached.states, reached.histories)
            # A state with a number that is not finite would spoil all that is made from it.
            spoiled = np.flatnonzero(~np.isfinite(reached.states).all(1))
            kept.forget(tracked[row].behavior.user_id for row in spoiled)
        # `_begin` found the known items of the histories that it read as a whole. One that was reached by a step is
        # never longer than L, so `histories` holds all of its known items.
        stepped = np.flatnonzero([each is ScoredBy.STEP for each in reached.scored_by])
        row, column = reached.histories[stepped].nonzero()
        row = stepped[row]
        reached.known.append(KnownItems(row=row, item=reached.histories[row, column], place=column))
        return reached

    def forget(self, users: Iterable[str]) -> None:
        """Forget these users' states, as their answers cannot be used: their next histories are read as a whole."""
        with self._taken() as kept:
            kept.forget(users)

    @contextmanager
    def _taken(self) -> Iterator[KeptStates]:
        """Lend the kept states to one call alone; where another call has them, perhaps for good, lend new ones."""
        try:
            kept = self._free.pop()
        except IndexError:
            kept = self._empty()
        try:
            yield kept
        finally:
            if not self._free:
                self._free.append(kept)
            else:
                kept.close()

    def _empty(self) -> KeptStates:
        return KeptStates(self._users, self._width, self._inputs.length, self._room)

    def _begin(self, kept: KeptStates, plan: Plan, tracked: Sequence[TrackedBehavior]) -> Reached:
        """Run full passes where they are needed, and read kept states."""
        states = np.empty((len(tracked), self._width), dtype=np.float32)
        histories = np.empty((len(tracked), self._inputs.length), dtype=np.int64)
        scored_by, known = [ScoredBy.STEP] * len(tracked), []
        if plan.full.size:
            passed = [tracked[row] for row in plan.full]
            found = self._inputs.known([each.history for each in passed])
            history, weight, _ = self._inputs.histories(passed, found, len(passed))
            histories[plan.full] = history
            used = used_columns(history)
            (states[plan.full],) = self._device.run(self._module.state_after, history[:, used], weight[:, used])
            known.append(found._replace(row=plan.full[found.row]))
            for row in plan.full:
                scored_by[row] = ScoredBy.FULL
        # A row that goes on from a kept state begins as a copy of it, so that its step reads and writes the same row.
        rows, slots = plan.from_kept
        states[rows], histories[rows] = kept.read(slots)
        return Reached(states=states, histories=histories, known=known, scored_by=scored_by)

    def _walk(self, plan: Plan, tracked: Sequence[TrackedBehavior], reached: Reached) -> None:
        """Take the steps, each wave in one call: a wave's sources are done before it begins."""
        found = self._inputs.known(plan.added)
        items, weights = np.zeros(len(tracked), dtype=np.int64), np.zeros(len(tracked), dtype=np.float32)
        items[found.row] = found.item
        weights[found.row] = self._inputs.weights([tracked[row].actions[-1:] for row in found.row])
        for rows, sources in plan.waves:
            item, before = items[rows], reached.histories[sources]
            reached.states[rows] = self._advance(reached.states[sources], item, weights[rows])
            # Nothing added, or an unknown item (0), leaves the history as it is.
            after = np.concatenate([before[:, 1:], item[:, None]], 1)
            reached.histories[rows] = np.where(item[:, None] > 0, after, before)

    def _advance(self, states: Floats, item: Ints, weight: Floats) -> Floats:
        if not item.any():
            return states
        (after,) = self._device.run(self._module.step, states, item, weight, np.zeros_like(weight))
        return after


def steps_truly(module: Any, bundle: Bundle, device: Runner) -> bool:
    """Return whether the bundle takes steps, and they give the scores of its `forward`, for items however old.

    A model whose steps give other scores, as in half precision, is served by full passes, and a warning is logged.
    """
    if not all(hasattr(module, method) for method in STEP_METHODS):
        return False
    random = np.random.default_rng(0)
    shape = _TRIED_HISTORIES, min(_TRIED_ITEMS, bundle.manifest.history_length)
    history = random.integers(1, bundle.manifest.items + 1, shape)
    weight = random.uniform(0.5, 4.0, shape).astype(np.float32)
    age_s = np.sort(random.uniform(0, 1e7, shape).astype(np.float32))[:, ::-1].copy()
    exclude = np.zeros((len(history), 1), dtype=np.int64)
    (states,) = device.run(module.state_after, history[:, :-1], weight[:, :-1])
    (states,) = device.run(module.step, states, history[:, -1], weight[:, -1], np.zeros(len(history), dtype=np.float32))
    _, stepped = device.run(module.score, states, exclude)
    _, passed = device.run(module, history, weight, age_s, exclude)
    if np.allclose(stepped, passed, rtol=STEP_TOLERANCE, atol=STEP_TOLERANCE):
        return True
    _log.warning("%s steps to other scores than it passes to: every behaviour is a full pass", bundle.path)
    return False

"""Candidates for tracked behaviours: by one step from the state of the user's last one, or by a full pass."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from model.bundles.answers import BundleAnswerError, Expected, Faults, check_answers
from model.bundles.bundle import Bundle, load_module
from model.bundles.trial import try_module
from udfs.elements import Candidates, ScoredBy, TrackedBehavior
from udfs.scoring.device import Array, OnCpu, Runner
from udfs.scoring.hash_index import Ints
from udfs.scoring.inputs import EXCLUDE_STEP, Floats, ModelInputs, used_columns
from udfs.scoring.score_cache import ModelAnswers, ScoreCache, question_keys
from udfs.scoring.scoring_rules import ScoringRules
from udfs.scoring.stepping import Stepper, steps_truly

_REASON_ITEMS = 5
"""Number of newest history items that may be given as the reason for a candidate."""


class _Answer(NamedTuple):
    """The model's answer to a batch.

    Attributes:
        history: the newest known items, for reasons. (rows, L).
        items: best first. (rows, K).
        scores: theirs. (rows, K).
        scored_by: the method by which each behaviour was scored.
        faults: the rows whose answer cannot be used, and why.
    """

    history: Ints
    items: Ints
    scores: Floats
    scored_by: Sequence[ScoredBy]
    faults: Faults


class Scorer:
    """A loaded bundle, ready to score batches; calls may come from several threads at a time."""

    def __init__(
        self, bundle: Bundle, rules: ScoringRules, device: Runner | None = None, cache: ScoreCache | None = None
    ) -> None:
        """Load the bundle's model; a cache, which several scorers may share, is of use where no state is kept."""
        self._bundle = bundle
        self._rules = rules
        self._device = device or OnCpu()
        self._module = load_module(bundle, self._device.name)
        self._cache = cache if rules.fixed_batch is None else None
        self._asked_of = f"{bundle.hash}/{rules.candidates}/{self._device.name}/{self._device.precision}"
        self._inputs = ModelInputs(bundle, rules)
        self._expected = Expected(items=bundle.manifest.items, k=bundle.manifest.k)
        self._names = np.array([None, *bundle.vocabulary], dtype=object)
        self._stepper: Stepper | None = None
        self._may_step = bool(rules.kept_users) and rules.fixed_batch is None

    def _stepping(self) -> Stepper | None:
        """Return the stepper; None if the model takes no steps, or must not.

        This is found out when the model is first asked, which a server guards, and not when it is loaded; and without
        a lock, which a model that hangs would hold.
        """
        if self._may_step and self._stepper is None:
            self._may_step = steps_truly(self._module, self._bundle, self._device)
            if self._may_step:
                self._stepper = Stepper(self._module, self._device, self._inputs, self._rules)
        return self._stepper

    def warm_up(self, batch_size: int) -> None:
        """Try the model, and run empty histories through it, so that no user waits for its specialisation.

        Raises:
            BundleAnswerError: it fails, or its answers break the contract.
        """
        try_module(self._module, self._bundle.manifest, self._device.run, steps=False)
        stepper = self._stepping()
        if stepper is not None:
            try_module(self._module, self._bundle.manifest, self._device.run)
        for size in (1, batch_size, 1, batch_size):
            history = np.zeros((size, self._inputs.length), dtype=np.int64)
            zeros = np.zeros((size, self._inputs.length), dtype=np.float32)
            exclude = np.zeros((size, EXCLUDE_STEP), dtype=np.int64)
            if stepper is None:
                self._device.run(self._module, history, zeros, zeros, exclude)
            else:
                stepper.warm_up(history, exclude)

    def answers(self, tracked: Sequence[TrackedBehavior]) -> list[Candidates | BundleAnswerError]:
        """Return each history's candidates, best first, none of them excluded; or the fault of the model's answer.

        Raises:
            BundleAnswerError: no history's answer can be used.
        """
        stepper = self._stepping()
        return self._candidates(self._pass(tracked) if stepper is None else self._step(stepper, tracked))

    def score(self, tracked: Sequence[TrackedBehavior]) -> list[Candidates]:
        """Return each history's candidates, for callers that have nothing to fall back on.

        Raises:
            BundleAnswerError: a history's answer cannot be used.
        """
        found = []
        for answer in self.answers(tracked):
            if isinstance(answer, BundleAnswerError):
                raise answer
            found.append(answer)
        return found

    def disliked_neighbors(self, disliked: bytes) -> bytes:
        """Return packed hashes of the neighbours of the newest dislikes, which come as packed hashes."""
        return self._inputs.disliked_neighbors(disliked)

    def _pass(self, tracked: Sequence[TrackedBehavior]) -> _Answer:
        """Score every history as a whole."""
        rows, asked = self._rules.fixed_batch or len(tracked), len(tracked)
        known = self._inputs.known([behavior.history for behavior in tracked])
        history, weight, age_s = self._inputs.histories(tracked, known, rows)
        exclude = self._inputs.exclude(tracked, [known], rows)
        if self._cache is None:
            used = slice(None) if self._rules.fixed_batch else used_columns(history)
            found = self._ask(history[:, used], weight[:, used], age_s[:, used], exclude)
            return _Answer(
                history=history[:asked],
                items=found.items[:asked],
                scores=found.scores[:asked],
                scored_by=[ScoredBy.FULL] * asked,
                faults={row: fault for row, fault in found.faults.items() if row < asked},
            )
        inputs = (history, weight, age_s, exclude)
        keys = question_keys(self._asked_of, *inputs)
        answers = self._cache.answers(keys, lambda new: self._ask(*(each[new] for each in inputs)))
        return _Answer(
            history=history,
            items=answers.items,
            scores=answers.scores,
            scored_by=answers.scored_by,
            faults=answers.faults,
        )

    def _ask(self, *inputs: Array) -> ModelAnswers:
        """Ask the model; the last of its inputs is `exclude`."""
        return self._checked(self._device.run(self._module, *inputs), inputs[-1])

    def _checked(self, answers: tuple[Array, ...], exclude: Ints) -> ModelAnswers:
        """Return the answers; those that cannot be used have no items."""
        faults = check_answers(answers, exclude, self._expected)
        items, scores = answers
        if faults:
            items = items.copy()
            items[list(faults)] = 0
        return ModelAnswers(items=items, scores=scores, faults=faults)

    def _step(self, stepper: Stepper, tracked: Sequence[TrackedBehavior]) -> _Answer:
        """Score by one step per behaviour, where that leads to its history."""
        reached = stepper.reach(tracked)
        exclude = self._inputs.exclude(tracked, reached.known, len(tracked))
        found = self._checked(self._device.run(self._module.score, reached.states, exclude), exclude)
        if found.faults:
            stepper.forget([tracked[row].behavior.user_id for row in found.faults])
        return _Answer(
            history=reached.histories,
            items=found.items,
            scores=found.scores,
            scored_by=reached.scored_by,
            faults=found.faults,
        )

    def _candidates(self, answer: _Answer) -> list[Candidates | BundleAnswerError]:
        best = slice(self._rules.candidates)
        items, scores = answer.items[:, best], answer.scores[:, best]
        names, because = self._names[items].tolist(), self._names[self._reasons(answer.history, items)].tolist()
        counts = (items > 0).sum(1).tolist()
        return [
            answer.faults[row]
            if row in answer.faults
            else Candidates(
                items=names[row][:count],
                packed_scores=scores[row, :count].tobytes(),
                because=because[row][:count],
                scored_by=scored_by,
            )
            for row, (count, scored_by) in enumerate(zip(counts, answer.scored_by, strict=True))
        ]

    def _reasons(self, history: Ints, items: Ints) -> Ints:
        """Return for each item the newest of the last history items whose near neighbour it is, or 0. (B, K)."""
        recent = history[:, : -_REASON_ITEMS - 1 : -1]  # (B, R), the newest first
        near = self._bundle.neighbors[recent].reshape(len(recent), -1)  # (B, R * M)
        if not near.size:
            return np.zeros_like(items)
        is_near = items.astype(np.int32)[:, :, None] == near[:, None, :]  # (B, K, R * M)
        first = is_near.argmax(2)  # (B, K)
        because = np.take_along_axis(recent, first // self._bundle.neighbors.shape[1], 1)
        return np.where(np.take_along_axis(is_near, first[:, :, None], 2)[:, :, 0], because, 0)

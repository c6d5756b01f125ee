"""The measurement of a candidate and of what serves, on the newest behaviours, which neither was trained on."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np
import torch

from model.bundles.answers import BundleAnswerError, Expected, refuse_faults
from model.bundles.bundle import Bundle, load_module
from model.datasets.interactions import Interactions, Ints
from model.evaluation.evaluate import TOP, Ranking, Targets, pad_right, rank, rows_after, shared, targets_at, thinned
from model.evaluation.measures import Interval, paired_bootstrap
from model.evaluation.splits import AT_MOST
from model.learning.gate import Evidence, Side
from model.records import EpochMs

_BATCH = 64
_TIMES = 5
_Call = Callable[[], tuple[torch.Tensor, ...]]


@dataclass(frozen=True, slots=True)
class _Answered:
    """A model's answers to the targets.

    Attributes:
        ranking: the place of each target.
        listed: number of different items in its lists of ten.
        call: answers one batch of the targets' histories.
        fault: a fault in these answers, in words, or None.
    """

    ranking: Ranking
    listed: int
    call: _Call
    fault: str | None


def evidence_of(candidate: Bundle, served: Bundle, log: Interactions, cut_off: EpochMs) -> Evidence:
    """Measure both models on what is new to its user at or after the cut-off, by the protocol of every bundle.

    Args:
        candidate: trained on what is older than the cut-off.
        served: the same.
        log: all behaviours, in time order and in a vocabulary that has every item.
        cut_off: epoch milliseconds.
    """
    rows = thinned(shared(log, rows_after(log, cut_off)), AT_MOST)
    if not len(rows):
        nothing = Side(hr=0.0, ndcg=0.0, listed=0, batch_ms=0.0)
        return Evidence(targets=0, users=0, candidate=nothing, served=nothing, gain=Interval(0.0, 0.0, 0.0))
    user = log.user[rows]
    one, other = (_answered(bundle, log, rows) for bundle in (candidate, served))
    gain = paired_bootstrap(one.ranking.gains(TOP), other.ranking.gains(TOP), user)
    times = _batch_times(one.call, other.call)
    return Evidence(
        targets=len(rows),
        users=len(np.unique(user)),
        candidate=_side(one, times[0]),
        served=_side(other, times[1]),
        gain=gain,
        fault=one.fault,
    )


def _answered(bundle: Bundle, log: Interactions, rows: Ints) -> _Answered:
    module = load_module(bundle, "cpu")
    targets = targets_at(log.with_vocabulary(bundle.vocabulary), rows, bundle.manifest.history_length)
    ranking = rank(module, targets)
    listed = ranking.items[:, :TOP]
    inputs = _batch_of(targets)

    def call() -> tuple[torch.Tensor, torch.Tensor]:
        with torch.inference_mode():
            items, scores = module(*inputs)
        return items, scores

    return _Answered(ranking, len(np.unique(listed[listed > 0])), call, _fault(bundle, call, inputs))


def _batch_of(targets: Targets) -> tuple[torch.Tensor, ...]:
    first = slice(0, _BATCH)
    arrays = (targets.history[first], targets.weight[first], targets.age_s[first], pad_right(targets.seen[first]))
    return tuple(map(torch.from_numpy, arrays))


def _fault(
    bundle: Bundle, call: Callable[[], tuple[torch.Tensor, ...]], inputs: tuple[torch.Tensor, ...]
) -> str | None:
    """Return the fault in a model's answers to real histories: NaN, unknown, repeated or excluded items."""
    expected = Expected(items=bundle.manifest.items, k=bundle.manifest.k)
    try:
        refuse_faults(tuple(each.numpy() for each in call()), inputs[-1].numpy(), expected)
    except BundleAnswerError as error:
        return str(error)
    return None


def _batch_times(*calls: _Call) -> list[float]:
    """Return the median time of each call in ms; they take turns, so that a busy machine slows down all alike."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(_TIMES):
        for call, taken in zip(calls, times, strict=True):
            started = time.perf_counter()
            call()
            taken.append((time.perf_counter() - started) * 1000)
    return [median(taken) for taken in times]


def _side(answered: _Answered, batch_ms: float) -> Side:
    ranking = answered.ranking
    hr, ndcg = float(ranking.hits(TOP).mean()), float(ranking.gains(TOP).mean())
    return Side(hr=hr, ndcg=ndcg, listed=answered.listed, batch_ms=batch_ms)

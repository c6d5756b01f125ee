"""The methods to compress a bundle, by name: the one table behind `recloop compress`.

A method is one step, or several with + between, such as `distill+int8`; each step continues from the model that the
step before it made. This module imports no torch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from model.errors import RecloopError

KINDS = ("sasrec", "hstu", "gru", "linear-recurrence", "hybrid")
"""The kinds of recommender that can be compressed: those with layers. In a hybrid only the GRU is compressed."""


class CompressionError(RecloopError, ValueError):
    """A bundle that cannot be compressed as asked; the message gives the reason and the remedy."""


@dataclass(frozen=True, slots=True)
class MethodStep:
    """One step of a method.

    Attributes:
        summary: its description, for --help.
        trains: true if it learns from the data set. No step can follow one that does not.
    """

    summary: str
    trains: bool = False


STEPS: Mapping[str, MethodStep] = MappingProxyType(
    {
        "int8": MethodStep("8-bit integers for all weights, and for what they are multiplied with"),
        "bf16": MethodStep("bfloat16, half of float32's bits; quick where the processor has it"),
        "fp16": MethodStep("float16, half of float32's bits; for GPUs, slow on most CPUs"),
        "cells": MethodStep("items in cells of like embeddings, of which a few are scored; for very many items"),
        "prune": MethodStep("the heads, channels and state units that matter least are cut out", trains=True),
        "distill": MethodStep("a smaller model of the same kind learns from the large one", trains=True),
    }
)


def steps_of(method: str) -> tuple[str, ...]:
    """Split a written method into its steps.

    Raises:
        CompressionError: there is no such step, or a step follows one that has to be the last.
    """
    steps = tuple(method.split("+"))
    if unknown := [step for step in steps if step not in STEPS]:
        msg = f"there is no method {unknown[0]!r}; there are {', '.join(STEPS)}, and several with + between"
        raise CompressionError(msg)
    if early := [step for step in steps[:-1] if not STEPS[step].trains]:
        msg = f"{method}: nothing can follow {early[0]}; put it last"
        raise CompressionError(msg)
    return steps


def refuse_unused(steps: Iterable[str], asked: Mapping[str, object]) -> None:
    """Refuse options for training if none of the steps trains.

    Args:
        steps: names in `STEPS`.
        asked: name -> value of the options; one that is None is not asked for.

    Raises:
        CompressionError: an option would have no effect.
    """
    if any(STEPS[step].trains for step in steps):
        return
    if unused := [name for name, value in asked.items() if value is not None]:
        training = ", ".join(name for name, step in STEPS.items() if step.trains)
        msg = f"--{unused[0]} is for {training} only: leave it out"
        raise CompressionError(msg)


def refuse_kind(kind: str) -> None:
    """Refuse a kind of recommender that cannot be compressed.

    Raises:
        CompressionError: the kind is not in `KINDS`.
    """
    if kind not in KINDS:
        msg = (
            f"{kind} has no layers, and only layers can be pruned, distilled and computed in fewer bits: train it "
            f"smaller instead. What can be compressed: {', '.join(KINDS)}"
        )
        raise CompressionError(msg)

"""The ways to compress a bundle, by name: the one table behind `recloop compress`.

A way is a step or several with + between, `distill+int8`: each goes on from what the one before it made. This module
imports no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from model.errors import RecloopError

KINDS = ("sasrec", "hstu", "gru", "linear-recurrence", "hybrid")
"""The kinds of recommender that can be compressed: those with layers. Of a hybrid it is the GRU."""


class CompressionError(RecloopError, ValueError):
    """A bundle cannot be compressed so; the message says why, and what can be done."""


@dataclass(frozen=True, slots=True)
class Step:
    """One way by itself.

    Attributes:
        summary: what it is, for --help.
        trains: it learns from the data set; the others leave float32, after which nothing can learn.
    """

    summary: str
    trains: bool = False


STEPS: Mapping[str, Step] = MappingProxyType(
    {
        "int8": Step("8-bit integers for all weights, and for what they are multiplied with"),
        "bf16": Step("bfloat16, half of float32's bits; quick where the processor has it"),
        "fp16": Step("float16, half of float32's bits; for GPUs, slow on most CPUs"),
        "prune": Step("the heads, channels and state units that matter least are cut out", trains=True),
        "distill": Step("a smaller model of the same kind learns from the large one", trains=True),
    }
)


def steps_of(way: str) -> tuple[str, ...]:
    """The steps of a way as it is written.

    Raises:
        CompressionError: there is no such step, or one follows a step after which nothing can learn.
    """
    steps = tuple(way.split("+"))
    if unknown := [step for step in steps if step not in STEPS]:
        msg = f"there is no way {unknown[0]!r} to compress; there are {', '.join(STEPS)}, and several with + between"
        raise CompressionError(msg)
    if early := [step for step in steps[:-1] if not STEPS[step].trains]:
        msg = f"{way}: nothing can follow {early[0]}, which leaves float32; put it last"
        raise CompressionError(msg)
    return steps


def refuse_kind(kind: str) -> None:
    """Refuses the kinds of recommender that no way helps.

    Raises:
        CompressionError: it is none of `KINDS`.
    """
    if kind not in KINDS:
        msg = (
            f"{kind} has no layers, and only layers can be pruned, distilled and computed in fewer bits: train it "
            f"smaller instead. What can be compressed: {', '.join(KINDS)}"
        )
        raise CompressionError(msg)

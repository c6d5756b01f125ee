"""What a judge says: it holds, it is broken (how often, with examples), or it can't be asked of this run."""

from collections.abc import Iterable
from dataclasses import dataclass

_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """A judge's answer.

    Attributes:
        holds: None where the question does not apply.
        broken: how many things speak against it.
        examples: the first of them, in words.
        reason: why the question does not apply.
    """

    holds: bool | None
    broken: int = 0
    examples: tuple[str, ...] = ()
    reason: str = ""

    @classmethod
    def of(cls, broken: Iterable[str]) -> "Finding":
        """It holds if nothing speaks against it."""
        told = list(broken)
        return cls(not told, len(told), tuple(told[:_EXAMPLES]))

    @classmethod
    def not_applicable(cls, reason: str) -> "Finding":
        """It can't be asked, and why."""
        return cls(None, reason=reason)

    @property
    def verdict(self) -> bool | str:
        """As verdict.json has it: true, false or "n/a: reason"."""
        return f"n/a: {self.reason}" if self.holds is None else self.holds

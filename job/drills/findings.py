"""The finding of a judge: the rule holds, is broken (how often, with examples), or does not apply to the run."""

from collections.abc import Iterable
from dataclasses import dataclass

_EXAMPLES = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer of a judge to its question.

    Attributes:
        holds: None if the question does not apply.
        broken: the number of violations.
        examples: descriptions of the first five of them.
        reason: why the question does not apply.
    """

    holds: bool | None
    broken: int = 0
    examples: tuple[str, ...] = ()
    reason: str = ""

    @classmethod
    def of(cls, broken: Iterable[str]) -> "Finding":
        """Make a finding from descriptions of violations; it holds if there are none."""
        violations = list(broken)
        return cls(not violations, len(violations), tuple(violations[:_EXAMPLES]))

    @classmethod
    def not_applicable(cls, reason: str) -> "Finding":
        """Make a finding for a question that does not apply, with the reason."""
        return cls(None, reason=reason)

    @property
    def verdict(self) -> bool | str:
        """The value in verdict.json: true, false or "n/a: reason"."""
        return f"n/a: {self.reason}" if self.holds is None else self.holds

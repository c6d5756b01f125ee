"""The verdict on a drill: the judges' findings on each run."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from job.drills.evidence import Expectation, Output, Recovery
from job.drills.findings import Finding
from job.drills.judges import (
    as_control,
    doubled,
    every_record_once,
    list_version_unbroken,
    lost,
    nothing_unwanted_shown,
    published_as_view,
    user_seq_unbroken,
    wrong_lists,
)
from job.drills.recovery_judges import came_back, nothing_left, restored_from_newest
from job.drills.timeline import Moment
from job.explain.same_lists import Offset
from model.actions import DEFAULT_ACTIONS

QUESTIONS: Mapping[str, str] = {
    "I1": "every record applied, a duplicate or a dead letter, as it was made; the sums agree",
    "I2": "user_seq without gap or repeat",
    "I3": "lists and tables equal to the control's and scored; lists without scores equal to their recomputation",
    "I4": "list_version rises by one",
    "I5": "nothing bought or disliked in a later list",
    "I6": "restored from the newest usable checkpoint, and a new one completed",
    "I7": "detected, restarted, caught up; the fault had an effect",
    "I8": "published lists equal to the view",
    "I9": "processes, ports and memory as before",
}
CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Judged:
    """The judgement on a fault, or on the control.

    Attributes:
        name: the fault's name, or "control".
        description: of what the fault hit.
        recovery: None for the control.
        rows: table -> number of rows that were judged.
        lost: the number of records without a row and behaviours without a list.
        doubled: the number of superfluous rows.
        wrong_lists: the number of lists, of all versions, that differ from the control's.
        findings: question's name -> finding.
        moments: the fault's timeline.
        smallest: the smallest part that fails of a combination that does; None of anything else.
    """

    name: str
    description: str
    recovery: Recovery | None
    rows: Mapping[str, int]
    lost: int
    doubled: int
    wrong_lists: int
    findings: Mapping[str, Finding]
    moments: tuple[Moment, ...] = ()
    smallest: str | None = None

    @property
    def ok(self) -> bool:
        """True if no finding is broken."""
        return all(finding.holds is not False for finding in self.findings.values())

    @property
    def is_skipped(self) -> bool:
        """True if no question applies, as the machine does not allow the fault."""
        return all(finding.holds is None for finding in self.findings.values())

    def to_json(self) -> dict[str, object]:
        """Return the object in verdict.json; times are seconds from the fault."""
        return {
            "name": self.name,
            **self._recovery(),
            "lost": self.lost,
            "doubled": self.doubled,
            "wrong_lists": self.wrong_lists,
            **{name: finding.verdict for name, finding in self.findings.items()},
            **({} if self.smallest is None else {"smallest": self.smallest, "repeat": self.repeat}),
        }

    @property
    def repeat(self) -> str:
        """The command that injects it again, of a combination the smallest part that fails."""
        return f"recloop drill --fault {shlex.quote(self.smallest or self.name)}"

    def _recovery(self) -> dict[str, object]:
        recovery = self.recovery
        if recovery is None:
            return {}
        return {
            "injected_at": datetime.fromtimestamp(recovery.injected_ms / 1000, UTC).isoformat(timespec="milliseconds"),
            "evidence": recovery.evidence,
            "reprocessed": recovery.reprocessed,
            "detected_s": recovery.seconds(recovery.detected_ms),
            "restarted_s": recovery.seconds(recovery.restarted_ms),
            "caught_up_s": recovery.seconds(recovery.caught_up_ms),
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgements on all runs of a drill, and the names and values of its environment."""

    control: Judged
    faults: Sequence[Judged]
    environment: Sequence[tuple[str, str]] = ()

    @property
    def ok(self) -> bool:
        """True if no run has a broken finding, including the control."""
        return self.control.ok and all(fault.ok for fault in self.faults)

    def to_json(self) -> dict[str, object]:
        """Return {"ok", "faults": one object a fault, "control": the same without times, "environment"}."""
        return {
            "ok": self.ok,
            "faults": [fault.to_json() for fault in self.faults],
            "control": self.control.to_json(),
            "environment": dict(self.environment),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """All that a run is judged by.

    Attributes:
        name: the fault's name.
        description: of what the fault hit.
        output: the run's tables.
        control: those of the control over the same records; None if this is it.
        planted: the outcome of each record of the log that is not to be applied.
        recovery: the job's recovery; None for the control.
        expected: the fault's effect on a job that recovers correctly.
        moments: the fault's timeline.
    """

    name: str = CONTROL
    description: str = "nothing"
    output: Output
    control: Output | None = None
    planted: Mapping[Offset, str]
    recovery: Recovery | None = None
    expected: Expectation = field(default_factory=Expectation)
    moments: tuple[Moment, ...] = ()


def not_injected(name: str, why: str) -> Judged:
    """Return the judgement on a fault that could not be injected, or whose job did not start: it does not count."""
    unknown = Finding.not_applicable("the fault was not injected")
    findings = dict.fromkeys(QUESTIONS, unknown) | {"I7": Finding.of([f"does not count: {why}"])}
    return Judged(name, why, None, {}, 0, 0, 0, findings)


def skipped(name: str, why: str) -> Judged:
    """Return the judgement on a fault that the machine does not allow: no question applies."""
    return Judged(name, why, None, {}, 0, 0, 0, dict.fromkeys(QUESTIONS, Finding.not_applicable(why)))


def judge(case: Case) -> Judged:
    """Judge a run."""
    expected, recovery = case.expected, case.recovery
    falls_back, scores = expected.falls_back, expected.scores
    output, control = case.output, case.control
    return Judged(
        name=case.name,
        description=case.description,
        recovery=recovery,
        rows={
            "user_behavior": len(output.behaviors),
            "recommendation_lists": len(output.lists),
            "prediction_results": len(output.predictions),
            "dead_letters": len(output.letters),
            "lists made again": output.made_again,
            "published lists": len(output.published),
        },
        lost=len(lost(output)),
        doubled=len(doubled(output, falls_back=falls_back)),
        wrong_lists=len(wrong_lists(output, control, scores=scores)) if control else 0,
        findings={
            "I1": every_record_once(output, case.planted, falls_back=falls_back),
            "I2": user_seq_unbroken(output),
            "I3": as_control(output, control, scores=scores),
            "I4": list_version_unbroken(output),
            "I5": nothing_unwanted_shown(output, DEFAULT_ACTIONS),
            "I6": restored_from_newest(recovery, expected),
            "I7": came_back(recovery, expected),
            "I8": published_as_view(output),
            "I9": nothing_left(recovery, expected),
        },
        moments=case.moments,
    )

"""The verdict on a drill: the judges' findings on each run."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from job.drills.evidence import Expectation, Output, Recovery
from job.drills.findings import Finding
from job.drills.judges import (
    as_control,
    came_back,
    doubled,
    every_record_once,
    list_version_unbroken,
    lost,
    nothing_unwanted_shown,
    restored_from_newest,
    scored,
    user_seq_unbroken,
    wrong_lists,
)
from model.actions import DEFAULT_ACTIONS

QUESTIONS: Mapping[str, str] = {
    "I1": "every record applied, a duplicate or a dead letter; the sums agree",
    "I2": "user_seq without gap or repeat",
    "I3": "final lists and tables equal to the control's",
    "I4": "list_version rises by one",
    "I5": "nothing bought or disliked in a later list",
    "I6": "restored from the newest checkpoint, and a new one completed",
    "I7": "detected, restarted, caught up; behaviours processed again",
    "I8": "lists scored by a model",
}
CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Judged:
    """The judgement on a run.

    Attributes:
        name: the fault's name, or "control".
        description: of what the fault hit.
        recovery: None for the control.
        lost: the number of records without a row and behaviours without a list.
        doubled: the number of superfluous rows.
        wrong_lists: the number of lists, of all versions, that differ from the control's.
        findings: question's name -> finding.
    """

    name: str
    description: str
    recovery: Recovery | None
    lost: int
    doubled: int
    wrong_lists: int
    findings: Mapping[str, Finding]

    @property
    def ok(self) -> bool:
        """True if no finding is broken."""
        return all(finding.holds is not False for finding in self.findings.values())

    def to_json(self) -> dict[str, object]:
        """Return the object in verdict.json; times are seconds from the fault."""
        return {
            "name": self.name,
            **self._recovery(),
            "lost": self.lost,
            "doubled": self.doubled,
            "wrong_lists": self.wrong_lists,
            **{name: finding.verdict for name, finding in self.findings.items()},
        }

    def _recovery(self) -> dict[str, object]:
        recovery = self.recovery
        if recovery is None:
            return {}
        return {
            "reprocessed": recovery.reprocessed,
            "detected_s": recovery.seconds(recovery.detected_ms),
            "restarted_s": recovery.seconds(recovery.restarted_ms),
            "caught_up_s": recovery.seconds(recovery.caught_up_ms),
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgements on all runs of a drill."""

    control: Judged
    faults: Sequence[Judged]

    @property
    def ok(self) -> bool:
        """True if no run has a broken finding, including the control."""
        return self.control.ok and all(fault.ok for fault in self.faults)

    def to_json(self) -> dict[str, object]:
        """Return {"ok", "faults": one object a fault, "control": the same without times}."""
        return {
            "ok": self.ok,
            "faults": [fault.to_json() for fault in self.faults],
            "control": self.control.to_json(),
        }

    def to_file(self, path: Path) -> None:
        """Write the verdict as JSON."""
        path.write_text(json.dumps(self.to_json(), indent=2) + "\n")


def judge_control(control: Output) -> Judged:
    """Judge a run without a fault, by itself."""
    return _judge(CONTROL, "nothing", (control, None), None, Expectation())


def judge_fault(
    name: str, description: str, outputs: tuple[Output, Output], recovery: Recovery, expected: Expectation
) -> Judged:
    """Judge a run with a fault; `outputs` are that run's and the control's."""
    return _judge(name, description, outputs, recovery, expected)


def _judge(
    name: str, description: str, outputs: tuple[Output, Output | None], recovery: Recovery | None, expected: Expectation
) -> Judged:
    output, control = outputs
    falls_back = expected.falls_back
    return Judged(
        name=name,
        description=description,
        recovery=recovery,
        lost=len(lost(output)),
        doubled=len(doubled(output, falls_back=falls_back)),
        wrong_lists=len(wrong_lists(output, control)) if control else 0,
        findings={
            "I1": every_record_once(output, falls_back=falls_back),
            "I2": user_seq_unbroken(output),
            "I3": as_control(output, control),
            "I4": list_version_unbroken(output),
            "I5": nothing_unwanted_shown(output, DEFAULT_ACTIONS),
            "I6": restored_from_newest(recovery, expected),
            "I7": came_back(recovery, expected),
            "I8": scored(output),
        },
    )

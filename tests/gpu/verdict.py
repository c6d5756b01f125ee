"""The verdict on CUDA: from what the tests reported and what the bench measured. Pure, but for reading files."""

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Numbers of tests by outcome."""

    passed: int
    failed: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was seen to work, and what was not."""

    seen: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.problems


def read_tests(file: Path) -> Outcomes | None:
    """Read a JUnit report; None if it is not there."""
    if not file.is_file():
        return None
    total: Counter[str] = Counter()
    for suite in ElementTree.parse(file).getroot().iter("testsuite"):
        total.update({name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")})
    failed = total["failures"] + total["errors"]
    return Outcomes(total["tests"] - failed - total["skipped"], failed, total["skipped"])


def read_figures(file: Path) -> dict[str, Any] | None:
    """Read the bench's figures; None if it did not finish."""
    return json.loads(file.read_text()) if file.is_file() else None


def judge(tests: Outcomes | None, figures: dict[str, Any] | None) -> Verdict:
    """Judge: tests passed and none failed, and the bench's parts count; those for several GPUs may be skipped."""
    seen, problems = [], []
    if tests is None:
        problems.append("the tests did not finish")
    else:
        seen.append(f"{tests.passed} tests passed, {tests.skipped} skipped")
        if not tests.passed:
            problems.append("no test ran")
        if tests.failed:
            problems.append(f"{tests.failed} tests failed")
    if figures is None:
        problems.append("the bench did not finish")
    else:
        problems += [f"the bench is void: {reason}" for reason in figures["void"]]
        measured = {name: figures[name] for name in ("job_events_per_s", "model_users_per_s", "job_over_model")}
        if missing := [name for name, value in measured.items() if not value]:
            problems.append(f"the bench has no {', '.join(missing)}")
        else:
            speed = "the job makes {job_events_per_s:,.0f} lists a second, {job_over_model:.2f} of the model alone"
            seen.append(speed.format(**measured))
    return Verdict(tuple(seen), tuple(problems))

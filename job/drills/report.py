"""The files of a verdict, and its cells for a table: JSON, a page for people, JUnit XML for CI, and their checksums."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from job.drills.goals import measured
from job.drills.page import page
from job.drills.verdict import QUESTIONS, Judged, Verdict

COLUMNS = ("run", "reprocessed", "detected", "restarted", "caught up", "lost", "doubled", "wrong lists", *QUESTIONS)
_VERDICT, _PAGE, _JUNIT, _SUMS = "verdict.json", "report.html", "junit.xml", "SHA256SUMS"
FILES = (_VERDICT, _PAGE, _JUNIT, _SUMS, "report.md")
"""The files of a drill's folder; the last one is of earlier versions."""
_MARKS = {True: "yes", False: "NO", None: "n/a"}


def cells(judged: Judged) -> list[str]:
    """Return a run's row for `COLUMNS`."""
    recovery = judged.recovery
    times = ["", "", "", ""]
    if recovery is not None:
        moments = (recovery.detected_ms, recovery.restarted_ms, recovery.caught_up_ms)
        seconds = (recovery.seconds(moment) for moment in moments)
        # The tasks of a fault that restarts nothing go on all the time.
        never = "never" if judged.findings["I6"].holds is not None else ""
        times = [f"{recovery.reprocessed:,}", *(never if each is None else f"{each:.1f} s" for each in seconds)]
    counts = [f"{count:,}" for count in (judged.lost, judged.doubled, judged.wrong_lists)]
    return [judged.name, *times, *counts, *(_MARKS[finding.holds] for finding in judged.findings.values())]


def complaints(judged: Judged) -> Iterator[str]:
    """Yield a line for each question that a run violates, with examples."""
    for name, finding in judged.findings.items():
        if finding.holds is False:
            more = (
                f" (and {finding.broken - len(finding.examples):,} more)"
                if finding.broken > len(finding.examples)
                else ""
            )
            yield f"{judged.name} {name}, {QUESTIONS[name]}: {'; '.join(finding.examples)}{more}"
    if judged.smallest is not None:
        yield f"{judged.name}: the smallest part that fails is {judged.smallest}; {judged.repeat}"


def to_json(verdict: Verdict) -> dict[str, object]:
    """Return the object in verdict.json."""
    return {**verdict.to_json(), "times": [each.to_json() for each in measured(verdict.faults)]}


def write_reports(verdict: Verdict, out: Path) -> None:
    """Write all files of a verdict; SHA256SUMS is the input of `sha256sum --check`."""
    (out / _VERDICT).write_text(json.dumps(to_json(verdict), indent=2) + "\n")
    (out / _JUNIT).write_bytes(junit(verdict))
    runs = [verdict.control, *verdict.faults]
    table = [COLUMNS, *map(cells, runs)]
    broken = [line for run in runs for line in complaints(run)]
    (out / _PAGE).write_text(page(verdict, table, broken, _sums(out, _VERDICT, _JUNIT)))
    (out / _SUMS).write_text(_sums(out, _VERDICT, _JUNIT, _PAGE))


def junit(verdict: Verdict) -> bytes:
    """Return the verdict as JUnit XML: a test case for each question to each run."""
    suites = ElementTree.Element("testsuites", name="recloop drill")
    for run in (verdict.control, *verdict.faults):
        findings = run.findings.items()
        failures = sum(finding.holds is False for _, finding in findings)
        skipped = sum(finding.holds is None for _, finding in findings)
        counts = {"tests": len(findings), "failures": failures, "skipped": skipped}
        suite = ElementTree.SubElement(suites, "testsuite", {"name": run.name})
        suite.attrib |= {name: str(count) for name, count in counts.items()}
        for name, finding in findings:
            case = ElementTree.SubElement(suite, "testcase", classname=run.name, name=f"{name} {QUESTIONS[name]}")
            if finding.holds is False:
                ElementTree.SubElement(case, "failure", message="; ".join(finding.examples))
            elif finding.holds is None:
                ElementTree.SubElement(case, "skipped", message=finding.reason)
    ElementTree.indent(suites)
    return bytes(ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True))


def _sums(out: Path, *names: str) -> str:
    return "".join(f"{hashlib.sha256((out / name).read_bytes()).hexdigest()}  {name}\n" for name in names)

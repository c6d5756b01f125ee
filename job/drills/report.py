"""The verdict as a page of Markdown: a table, and the violations that were found."""

from collections.abc import Iterator
from pathlib import Path

from job.drills.verdict import QUESTIONS, Judged, Verdict

COLUMNS = ("run", "reprocessed", "detected", "restarted", "caught up", "lost", "doubled", "wrong lists", *QUESTIONS)
_MARKS = {True: "yes", False: "NO", None: "n/a"}


def cells(judged: Judged) -> list[str]:
    """Return a run's row for `COLUMNS`."""
    recovery = judged.recovery
    times = ["", "", "", ""]
    if recovery is not None:
        moments = (recovery.detected_ms, recovery.restarted_ms, recovery.caught_up_ms)
        seconds = (recovery.seconds(moment) for moment in moments)
        times = [f"{recovery.reprocessed:,}", *("never" if each is None else f"{each:.1f} s" for each in seconds)]
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


def write_report(verdict: Verdict, path: Path) -> None:
    """Write the page."""
    runs = [verdict.control, *verdict.faults]
    lines = [
        "# Recovery drill",
        "",
        "Everything holds." if verdict.ok else "**Not everything holds.**",
        "",
        _row(COLUMNS),
        _row(["---"] * len(COLUMNS)),
        *(_row(cells(run)) for run in runs),
        "",
        *(f"- {name}: {question}" for name, question in QUESTIONS.items()),
        "",
        *(f"- {run.name}: {run.description}" for run in verdict.faults),
    ]
    if broken := [f"- {line}" for run in runs for line in complaints(run)]:
        lines += ["", "## What does not hold", "", *broken]
    path.write_text("\n".join(lines) + "\n")


def _row(row: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(row)} |"

"""The verdict as a page of HTML that needs no other file and no network."""

from collections.abc import Iterator, Sequence
from html import escape

from job.drills.goals import COLUMNS, measured
from job.drills.timeline import STEP_MS, Moment
from job.drills.verdict import QUESTIONS, Judged, Verdict

_WIDTH, _HEIGHT, _GAP = 900, 90, 14
_STYLE = """
:root { color-scheme: light dark; --ours: #2a6f97; --bad: #c1121f; --down: #e9c46a66; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; } td, th { border: 1px solid #8886; padding: .2rem .5rem; text-align: left; }
.scroll { overflow-x: auto; } .bad { color: var(--bad); font-weight: 600; }
svg { width: 100%; height: auto; } svg text { fill: currentColor; font-size: 11px; }
pre { overflow-x: auto; }
"""


def page(verdict: Verdict, table: Sequence[Sequence[str]], broken: Sequence[str], sums: str) -> str:
    """Return the page.

    Args:
        verdict: the verdict.
        table: the table of all runs, its head first.
        broken: a line for each question that does not hold.
        sums: the checksums of the other files.
    """
    answer = "Everything holds." if verdict.ok else '<span class="bad">Not everything holds.</span>'
    complaints = "".join(f'<li class="bad">{escape(line)}</li>' for line in broken)
    questions = "".join(f"<li>{name}: {escape(question)}</li>" for name, question in QUESTIONS.items())
    settings = "".join(f"<tr><th>{escape(key)}</th><td>{escape(value)}</td></tr>" for key, value in verdict.environment)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Recovery drill</title><style>{_STYLE}</style></head><body>
<h1>Recovery drill</h1><p>{answer}</p><ul>{complaints}</ul>
<div class="scroll">{_table(table)}</div><ul>{questions}</ul>
{_times(verdict)}{"".join(map(_section, verdict.faults))}
<h2>What was judged</h2>{_table(_rows(verdict))}
<h2>Environment</h2><table>{settings}</table>
<h2>Checksums of the other files</h2><pre>{escape(sums)}</pre>
</body></html>
"""


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    heads = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    lines = ("".join(_cell(cell) for cell in row) for row in body)
    return f"<table><tr>{heads}</tr>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _cell(cell: str) -> str:
    return f'<td class="bad">{escape(cell)}</td>' if cell in ("NO", "never") else f"<td>{escape(cell)}</td>"


def _rows(verdict: Verdict) -> list[list[str]]:
    runs = [verdict.control, *verdict.faults]
    tables = list(verdict.control.rows)
    return [["rows of", *tables], *([run.name, *(f"{run.rows.get(each, 0):,}" for each in tables)] for run in runs)]


def _times(verdict: Verdict) -> str:
    times = list(measured(verdict.faults))
    if not times:
        return ""
    return f"<h2>Times to a job that has caught up</h2>{_table([COLUMNS, *(each.cells() for each in times)])}"


def _section(fault: Judged) -> str:
    recovery = fault.recovery
    evidence = (recovery.evidence if recovery else None) or "no effect was seen"
    head = f"<h2>{escape(fault.name)}</h2><p>{escape(fault.description)}; {escape(evidence)}.</p>"
    return head + (_chart(fault.moments) if fault.moments else "")


def _chart(moments: Sequence[Moment]) -> str:
    """Return a picture of throughput above freshness, with the fault and the outage marked."""
    begin, end = moments[0].at_s, moments[-1].at_s + STEP_MS / 1000
    scale = _WIDTH / (end - begin)
    most = max(each.processed for each in moments)
    oldest = max((each.freshness_ms or 0 for each in moments), default=0)
    parts = [*_bars(moments, begin, scale, most), *_ages(moments, begin, scale, oldest)]
    fault = (0 - begin) * scale
    full = 2 * _HEIGHT + _GAP
    label = f"records a second, at most {most * 1000 / STEP_MS:,.0f}; below, age at processing, at most {oldest:,} ms"
    return (
        f'<svg viewBox="0 -16 {_WIDTH} {full + 32}" role="img" aria-label="{escape(label)}">'
        f'<text x="0" y="-4">{escape(label)}</text>{"".join(parts)}'
        f'<line x1="{fault:.1f}" x2="{fault:.1f}" y1="0" y2="{full}" stroke="var(--bad)" stroke-width="2"/>'
        f'<text x="{fault:.1f}" y="{full + 13}">the fault</text>'
        f'<text x="{_WIDTH}" y="{full + 13}" text-anchor="end">{end:.0f} s after it</text></svg>'
    )


def _bars(moments: Sequence[Moment], begin: float, scale: float, most: int) -> Iterator[str]:
    width = STEP_MS / 1000 * scale
    for each in moments:
        left = (each.at_s - begin) * scale
        if not each.is_running:
            full = 2 * _HEIGHT + _GAP
            yield f'<rect x="{left:.1f}" y="0" width="{width:.2f}" height="{full}" fill="var(--down)"/>'
        height = _HEIGHT * each.processed / max(most, 1)
        top = _HEIGHT - height
        yield f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.2f}" height="{height:.1f}" fill="var(--ours)"/>'


def _ages(moments: Sequence[Moment], begin: float, scale: float, oldest: int) -> Iterator[str]:
    bottom = 2 * _HEIGHT + _GAP
    for each in moments:
        if each.freshness_ms is not None:
            left = (each.at_s + STEP_MS / 2000 - begin) * scale
            top = bottom - _HEIGHT * each.freshness_ms / max(oldest, 1)
            yield f'<circle cx="{left:.1f}" cy="{top:.1f}" r="2.5" fill="var(--ours)"/>'

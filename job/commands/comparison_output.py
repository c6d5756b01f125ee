"""The printing of what a deployment changes against the job that runs."""

import json
from typing import Any

from rich.table import Table
from rich.text import Text

from job.commands.options import console
from job.commands.output import Screen
from job.deployment.comparison import Comparison

_FRESH = Text("needs --fresh", style="yellow")


def print_comparison(comparison: Comparison, screen: Screen = console) -> None:
    """Print the code and the settings that change, and what was checked of the state."""
    screen.print(_summary(comparison))
    if comparison.settings:
        table = Table("setting", "job that runs", "new job", "")
        for change in comparison.settings:
            before, after = value_text(change.before), value_text(change.after)
            table.add_row(change.name, before, after, _FRESH if change.needs_fresh else "")
        screen.print(table)
    if comparison.operators:
        count, buckets = len(comparison.operators), comparison.buckets
        screen.print(f"all {count} operators with state are in the new code; buckets (max parallelism) stay {buckets}")


def value_text(value: Any) -> str:
    """Return a setting's value as `--set` takes it."""
    return value if isinstance(value, str) else "none" if value is None else json.dumps(value)


def _summary(comparison: Comparison) -> str:
    before, after = comparison.code_before, comparison.code_after
    code = f"the same code, {after}" if before == after else f"code {before} -> {after}"
    count = len(comparison.settings)
    settings = "the same settings" if not count else f"{count} setting{'' if count == 1 else 's'} changed"
    return f"beside the job {comparison.job_id} that runs: {code}; {settings}"

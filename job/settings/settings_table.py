"""The settings as a Markdown table, made from their definitions; docs/settings.md holds a copy that a test compares."""

from datetime import timedelta
from enum import Enum

from pydantic.fields import FieldInfo

from job.settings.job_settings import JobSettings
from job.settings.names import setting_names
from job.settings.values import bounds_of, duration

_APART = {"actions"}


def settings_table() -> str:
    """Return a table with a line a setting: its name as `--set` takes it, default, a number's bounds, meaning."""
    lines = ["| setting | default | bounds | meaning |", "| --- | --- | --- | --- |"]
    for name, field in setting_names(JobSettings):
        if name not in _APART:
            lines.append(f"| `{name}` | {_shown(field)} | {bounds_of(field) or ''} | {field.description} |")
    return "\n".join(lines)


def _shown(field: FieldInfo) -> str:
    value = field.default
    if value is None or value in ((), {}):
        return "none"
    if isinstance(value, timedelta):
        return duration(value)
    if isinstance(value, Enum):
        return f"`{value.value}`"
    return f"`{value}`"

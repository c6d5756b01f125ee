"""The settings as a Markdown table, made from their definitions; docs/settings.md holds a copy that a test compares."""

from collections.abc import Iterator
from datetime import timedelta
from enum import Enum

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from job.settings.job_settings import JobSettings

_APART = {"actions"}


def settings_table() -> str:
    """One line a setting: its name as `--set` takes it, its default, what it means."""
    lines = ["| setting | default | meaning |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {_shown(field)} | {field.description} |" for name, field in _fields(JobSettings, "")]
    return "\n".join(lines)


def _fields(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from _fields(type(field.default), f"{prefix}{name}.")
        elif name not in _APART:
            yield f"{prefix}{name}", field


def _shown(field: FieldInfo) -> str:
    value = field.default
    if value is None or value in ((), {}):
        return "none"
    if isinstance(value, timedelta):
        return _duration(value)
    if isinstance(value, Enum):
        return f"`{value.value}`"
    return f"`{value}`"


def _duration(value: timedelta) -> str:
    for seconds, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if value.total_seconds() >= seconds and not value.total_seconds() % seconds:
            return f"{value.total_seconds() / seconds:g} {unit}"
    return f"{value.total_seconds():g} s"

"""The settings as a job gets them, each with the source of its value.

None of them is a secret, so all can be shown: a password is given by its place, and a URL that holds one is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from job.settings.given import Origin, merge, of_sources
from job.settings.job_settings import JobSettings, load
from job.settings.names import flat


@dataclass(frozen=True, slots=True)
class EffectiveSetting:
    """A setting as the job gets it.

    Attributes:
        name: the full name, as `--set` takes it.
        value: the value, as JSON has it.
        origin: the source of the value.
    """

    name: str
    value: Any
    origin: Origin


def effective(file: Path | None = None, overrides: Sequence[str] = ()) -> list[EffectiveSetting]:
    """Return all settings, resolved.

    Args:
        file: a TOML file with a table a group.
        overrides: "group.name=value".

    Raises:
        SettingsError: settings are unknown or have impossible values; the text names them.
    """
    loaded = load(file, overrides)
    sources = of_sources(JobSettings, file, overrides)
    nothing: dict[str, Any] = {}
    as_given = JobSettings(**reduce(merge, sources.values(), nothing))
    adjusted = {
        **dict.fromkeys(changed(as_given, loaded), Origin.DERIVED),
        **dict.fromkeys(changed(loaded, loaded.with_preset()), Origin.PRESET),
    }
    return [
        EffectiveSetting(name, value, adjusted.get(name) or _origin(name, sources))
        for name, value in flat(loaded.resolved().model_dump(mode="json")).items()
    ]


def changed(before: JobSettings, after: JobSettings) -> dict[str, tuple[Any, Any]]:
    """Return the value before and after, as JSON has them, of each setting that differs; None is one not given."""
    old, new = (flat(each.model_dump(mode="json")) for each in (before, after))
    return {name: (old.get(name), new.get(name)) for name in {**old, **new} if old.get(name) != new.get(name)}


def _origin(name: str, sources: Mapping[Origin, Mapping[str, Any]]) -> Origin:
    given = [origin for origin, values in sources.items() if _gives(values, name.split("."))]
    return given[-1] if given else Origin.DEFAULT


def _gives(values: Any, parts: Sequence[str]) -> bool:
    """Return whether nested values have a setting, or one value in place of a group around it."""
    if not parts or not isinstance(values, Mapping):
        return True
    return parts[0] in values and _gives(values[parts[0]], parts[1:])

"""The names of settings, as `--set` takes them: of all there are, of all given, and the nearest to one there is not."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo


def setting_names(group: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Yield each setting of a group and of the groups in it, by its full name."""
    for name, field in group.model_fields.items():
        if isinstance(field.default, BaseModel):
            yield from setting_names(type(field.default), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


def flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested values by their full names; an empty group is a value itself."""
    found: dict[str, Any] = {}
    for name, value in values.items():
        nested = isinstance(value, Mapping) and value
        found |= flat(value, f"{prefix}{name}.") if nested else {f"{prefix}{name}": value}
    return found


def nearest(name: str, settings: type[BaseModel]) -> str | None:
    """Return the name of the setting or group that a wrong name probably means; None if none is near.

    Names beside it come first, then settings of any group with such a last part.
    """
    *groups, last = name.split(".")
    if beside := get_close_matches(last, _names_in(settings, groups), 1):
        return ".".join([*groups, *beside])
    elsewhere = {full.rpartition(".")[2]: full for full, _ in setting_names(settings)}
    found = get_close_matches(last, elsewhere, 1)
    return elsewhere[found[0]] if found else None


def _names_in(settings: type[BaseModel], groups: Sequence[str]) -> list[str]:
    """Return the names in a group that is reached by its parents' names; none if one of them is wrong."""
    group, left = settings, list(groups)
    while left:
        field = group.model_fields.get(left.pop(0))
        inner = None if field is None else _group_in(field.annotation)
        if inner is None:
            return []
        if field is not None and get_origin(field.annotation) is dict:
            left = left[1:]  # the name that the user gave the entry
        group = inner
    return list(group.model_fields)


def _group_in(annotation: Any) -> type[BaseModel] | None:
    """Return the group of settings in a type, such as `dict[str, Group]` or `Group | None`; None if there is none."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((group for part in get_args(annotation) if (group := _group_in(part))), None)

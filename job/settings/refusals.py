"""The sentences with which wrong settings are refused: each names the setting, and says what to give."""

from pydantic import BaseModel, ValidationError

from job.settings.names import nearest

_GROUP = "a group of settings: give {name}.NAME=VALUE"
_ANOTHER_FORM = "give a value of another form (recloop config table tells which)"
_LIST = 'give a list, as ["a", "b"]'
_OURS = {"value_error", "value", "secret_place", "start"}
"""The kinds of errors that this project raises itself; their messages say what to give."""
_ADVICE = {
    "missing": "give a value, it has no default",
    "tuple_type": _LIST,
    "list_type": _LIST,
    "string_type": """give a text, in quotes if it looks like something else, as '"5"'""",
    "string_unicode": "give a text in UTF-8",
    "bool_type": "give true or false",
    "bool_parsing": "give true or false",
    "dict_type": _GROUP,
    "model_type": _GROUP,
    "model_attributes_type": _GROUP,
}


def no_setting(name: str, settings: type[BaseModel]) -> str:
    """Return the line that refuses a name, with the nearest one that there is."""
    meant = nearest(name, settings)
    advice = f"did you mean {meant}? " if meant else ""
    return f"{name}: there is no such setting; {advice}recloop config table lists them all"


def refusal(error: ValidationError, settings: type[BaseModel]) -> str:
    """Return one line for each wrong setting: its name, and what to give."""
    lines = []
    for wrong in error.errors():
        name, kind = ".".join(map(str, wrong["loc"])), wrong["type"]
        if kind == "extra_forbidden":
            lines.append(no_setting(name, settings))
            continue
        if kind in _OURS:
            message = wrong["msg"].removeprefix("Value error, ")
        elif kind in {"literal_error", "enum"}:
            message = f"give {wrong['ctx']['expected']}"
        else:
            message = _ADVICE.get(kind, _ANOTHER_FORM).format(name=name)
        lines.append(f"{name}: {message}" if name else message)
    return "\n".join(lines)

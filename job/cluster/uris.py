"""File URIs as Flink reads and writes them: what follows the scheme is the path itself, letter by letter.

`Path.as_uri()` writes é as %C3%A9 and a space as %20, which Flink takes for another folder.
"""

import re
from pathlib import Path

_FILE = re.compile(r"file:(?://(?:localhost)?(?=/))?(?P<path>/.*)", re.DOTALL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")


def file_uri(path: Path) -> str:
    """Return the URI under which Flink finds the path; made absolute where it is not."""
    return f"file://{path.absolute()}"


def local_path(uri: str) -> Path | None:
    """Return the path that Flink takes a file URI for; None where the URI is of another file system."""
    found = _FILE.fullmatch(uri)
    return None if found is None else Path(found["path"])


def as_uri(given: str) -> str:
    """Return a URI for what a user gave: a URI stays, a path becomes one; file URIs are written in one way."""
    path = local_path(given)
    if path is not None:
        return file_uri(path)
    return given if _SCHEME.match(given) else file_uri(Path(given))


def below(uri: str, name: str) -> str:
    """Return the URI of what is called `name` in the folder."""
    return f"{uri.rstrip('/')}/{name}"

"""File URIs in Flink's form: the path itself follows the scheme, letter by letter.

`Path.as_uri()` writes é as %C3%A9 and a space as %20, which Flink takes for another folder.
"""

import re
from pathlib import Path

_FILE = re.compile(r"file:(?://(?:localhost)?(?=/))?(?P<path>/.*)", re.DOTALL)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")


def file_uri(path: Path) -> str:
    """Return the URI under which Flink finds the path, which is made absolute if it is not."""
    return f"file://{path.absolute()}"


def local_path(uri: str) -> Path | None:
    """Return the path that Flink reads from a file URI; None for a URI of another file system."""
    found = _FILE.fullmatch(uri)
    return None if found is None else Path(found["path"])


def as_uri(given: str) -> str:
    """Return the URI of a user's text: a URI stays, a path becomes one; file URIs get one form."""
    path = local_path(given)
    if path is not None:
        return file_uri(path)
    return given if _SCHEME.match(given) else file_uri(Path(given))


def below(uri: str, name: str) -> str:
    """Return the URI of the file or folder `name` in a folder."""
    return f"{uri.rstrip('/')}/{name}"

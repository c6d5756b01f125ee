"""Folders that a command makes: whole or not at all, and never in place of anything that somebody else made.

Every folder written by `whole_folder` has a hidden file, `MARKER`, with its kind and the files in it. Only a folder
that is of the same kind and holds nothing else is replaced; folders of versions that wrote no marker are known by
their summary and by the names in them. Replacing is one exchange of two names where the kernel offers it. Elsewhere
the old folder is moved aside first, and the next reader moves it back (`mend`) if the process died in between.
"""

import ctypes
import errno
import glob
import hashlib
import os
import secrets
import shutil
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from model.draft_folder import draft_folder
from model.errors import RecloopError
from model.file_lock import locked_folder

MARKER = ".recloop.json"
_LONGEST = 255  # bytes of a file's name, on all of Linux's usual file systems
_AT_CWD = -100
_EXCHANGE = 2
_NO_EXCHANGE = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}


class FolderError(RecloopError, ValueError):
    """A folder that cannot be made or replaced; the message says why, and what to give instead.

    FolderError
    ├── NotOursError       what is there was not made by the command
    └── FolderNameError    the name cannot be that of one folder
    """


class NotOursError(FolderError):
    """An existing file or folder that the command did not make, or made only in part."""


class FolderNameError(FolderError):
    """A name that cannot be that of one folder: a path, hidden, empty, too long, or with control characters."""


@dataclass(frozen=True, slots=True)
class FolderKind:
    """One kind of folder.

    Attributes:
        name: for messages and the marker, with its article.
        proof: the file by which a folder without a marker is recognised.
        keys: keys that the JSON object in that file has; empty if it is no JSON.
        files: patterns of all that such a folder may hold, as paths below it; * stands for slashes too.
    """

    name: str
    proof: str
    keys: frozenset[str]
    files: tuple[str, ...]


class _Marker(msgspec.Struct, frozen=True):
    """The content of `MARKER`."""

    kind: str
    files: tuple[str, ...]


def checked_name(name: str, thing: str) -> str:
    """Return the name if it can be that of one visible folder.

    Args:
        name: as a user gave it.
        thing: what it names, for the message: "a data set".

    Raises:
        FolderNameError: it cannot.
    """
    problem = "begins with a dot" if name.startswith(".") else _problem_with(name)
    if problem:
        msg = f"{name!r} cannot name {thing}: it {problem}; take letters, digits, spaces and the like"
        raise FolderNameError(msg)
    return name


def _problem_with(name: str) -> str | None:
    if not name.strip() or name in {".", ".."}:
        return "is empty"
    if "/" in name:
        return "is a path, with a slash in it"
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in name):
        return "has characters that cannot be shown"
    return f"has more than {_LONGEST} bytes" if len(name.encode()) > _LONGEST else None


def beside(target: Path, suffix: str) -> Path:
    """Return the hidden path beside `target` that belongs to it, `.NAME.SUFFIX`; a digest replaces a long name."""
    name = f".{target.name}.{suffix}"
    if len(os.fsencode(name)) > _LONGEST:
        name = f".{hashlib.sha256(os.fsencode(target.name)).hexdigest()[:32]}.{suffix}"
    return target.with_name(name)


@contextmanager
def whole_folder(target: Path, kind: FolderKind) -> Iterator[Path]:
    """Yield an empty folder beside `target` to write into, and put it in its place at the end.

    A reader sees the old content or the new one, also if the process is killed. If the block raises, `target` stays
    as it was. Drafts that killed processes left beside `target` are removed.

    Raises:
        NotOursError: there is something that may not be replaced; nothing was written.
        FolderNameError: the path has no name of its own.
    """
    check_replaceable(target, kind)
    target = target.resolve()  # the folder that a link leads to is replaced
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = beside(target, f"draft-{os.getpid()}-{secrets.token_hex(3)}")
    with draft_folder(draft, all_drafts=f"{glob.escape(beside(target, 'draft-').name)}*", lock_file=MARKER):
        yield draft
        marker = _Marker(kind=kind.name, files=tuple(sorted(_files_in(draft))))
        (draft / MARKER).write_bytes(msgspec.json.encode(marker) + b"\n")
        check_replaceable(target, kind)
        with locked_folder(target.parent):
            _swap(draft, target)


def check_replaceable(target: Path, kind: FolderKind) -> None:
    """Check that there is nothing, an empty folder, or a folder of that kind with nothing else in it.

    Raises:
        NotOursError: there is something else.
        FolderNameError: the path has no name of its own, as / or .. has none.
    """
    if problem := _problem_with(target.name if target.name not in {"", ".."} else target.resolve().name):
        msg = f"{str(target)!r} cannot be {kind.name}: its name {problem}; give another folder"
        raise FolderNameError(msg)
    mend(target)
    if not target.exists():
        return
    if not target.is_dir():
        msg = f"{target} is no folder: give another name for {kind.name}"
        raise NotOursError(msg)
    if target.resolve() == Path.cwd():
        msg = f"{target} is the folder you are in: give another one for {kind.name}"
        raise NotOursError(msg)
    if problem := _not_ours(target, kind):
        msg = f"{target} {problem}, so {kind.name} is not written there: give another folder"
        raise NotOursError(msg)


def claim_folder(folder: Path, kind: FolderKind) -> None:
    """Make a folder to work in, or take an empty one or one of that kind, even if other files are in it by now.

    Raises:
        NotOursError: it is no folder, or holds something and is not of that kind.
    """
    if folder.exists() and not folder.is_dir():
        msg = f"{folder} is no folder: give another one for {kind.name}"
        raise NotOursError(msg)
    marker = folder / MARKER
    if folder.is_dir() and any(folder.iterdir()) and _kind_in(folder, kind) != kind.name:
        msg = f"{folder} holds something that is not {kind.name}'s: give a new folder"
        raise NotOursError(msg)
    folder.mkdir(parents=True, exist_ok=True)
    if not marker.exists():
        marker.write_bytes(msgspec.json.encode(_Marker(kind=kind.name, files=())) + b"\n")


def is_of_kind(folder: Path, kind: FolderKind) -> bool:
    """Return True if a folder is of that kind, by its marker or proof, even if other files are in it by now."""
    return _kind_in(folder, kind) == kind.name


def remove_folder(target: Path, kind: FolderKind) -> None:
    """Remove a folder with a marker of that kind, if nothing else is in it; readers see it whole or not at all.

    Raises:
        NotOursError: the folder has no such marker, or something else in it; nothing was removed.
    """
    marker = _read_marker(target)
    problem = f"is not {kind.name}" if marker is None or marker.kind != kind.name else _not_ours(target, kind)
    if problem:
        msg = f"{target} {problem}, so it stays"
        raise NotOursError(msg)
    aside = beside(target, f"draft-{os.getpid()}-{secrets.token_hex(3)}")
    with locked_folder(target.parent):
        target.rename(aside)
    shutil.rmtree(aside, ignore_errors=True)


def mend(target: Path) -> None:
    """Move back the folder that a process moved aside before it was killed, where names cannot be exchanged at once."""
    with suppress(OSError):  # the next reader reports the error, with the folder's own name
        if os.path.lexists(target) or not (aside := beside(target, "old")).is_dir():
            return
        with locked_folder(target.parent):
            if aside.is_dir() and not os.path.lexists(target):
                aside.rename(target)


def _not_ours(folder: Path, kind: FolderKind) -> str | None:
    """Return the reason why not all of a folder was made as one of that kind, or None."""
    found = _files_in(folder)
    if not found and not any(folder.iterdir()):
        return None
    if (other := _kind_in(folder, kind)) != kind.name:
        return f"is {other}" if other else _something_else(kind, found)
    known = _read_marker(folder)
    made = set(known.files) if known else {name for name in found if any(fnmatchcase(name, p) for p in kind.files)}
    foreign = {name for name in found - made if not _is_marker_among(made, folder, name)}
    return _something_else(kind, foreign) if foreign else None


def _is_marker_among(made: set[str], folder: Path, name: str) -> bool:
    """Return True for the marker of a folder of which all is in `made`: earlier versions did not list inner markers."""
    path = Path(name)
    inner = _read_marker(folder / path.parent) if path.name == MARKER else None
    return inner is not None and bool(inner.files) and {(path.parent / file).as_posix() for file in inner.files} <= made


def _something_else(kind: FolderKind, found: set[str]) -> str:
    return f"holds something else than {kind.name} ({min(found, default=MARKER)!r})"


def _kind_in(folder: Path, kind: FolderKind) -> str | None:
    """Return the name of the kind by the marker; without one, that of `kind` if its proof is there, else None."""
    if (marker := _read_marker(folder)) is not None:
        return marker.kind
    try:
        content = (folder / kind.proof).read_bytes()
        keys = kind.keys and msgspec.json.decode(content, type=dict[str, msgspec.Raw]).keys()
    except (OSError, msgspec.DecodeError):
        return None
    return kind.name if kind.keys <= keys else None


def _read_marker(folder: Path) -> _Marker | None:
    try:
        return msgspec.json.decode((folder / MARKER).read_bytes(), type=_Marker)
    except (OSError, msgspec.DecodeError):
        return None


def _files_in(folder: Path) -> set[str]:
    """Return the paths of all files and empty folders below a folder, relative to it; its own marker is left out."""
    own = folder / MARKER
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path != own and (path.is_symlink() or not path.is_dir() or not any(path.iterdir()))
    }


def _swap(draft: Path, target: Path) -> None:
    """Put the draft in its place; the old folder is at `draft` afterwards, or gone."""
    aside = beside(target, "old")
    if target.exists() and aside.is_dir():
        shutil.rmtree(aside)  # left by a process that was killed when the new one was in place
    if not target.exists():
        draft.rename(target)
    elif not _exchange(draft, target):
        target.rename(aside)
        draft.rename(target)
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(one: Path, other: Path) -> bool:
    """Exchange two names in one step; return False where the kernel or the file system cannot."""
    library = ctypes.CDLL(None, use_errno=True)
    if not hasattr(library, "renameat2"):
        return False
    paths = (_AT_CWD, os.fsencode(one), _AT_CWD, os.fsencode(other))
    if library.renameat2(*paths, _EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in _NO_EXCHANGE:
        return False
    raise OSError(number, os.strerror(number), str(other))

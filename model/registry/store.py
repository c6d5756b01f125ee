"""The storage of a registry's files: a local folder, or a URL that fsspec can open.

Both replace a file in one move, as far as the storage can. A folder is not opened through fsspec, which writes local
files in place, or through /tmp, from where a move to another file system is a copy.
"""

import fnmatch
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, Protocol

from model.file_lock import locked
from model.files import replace_file
from model.registry.errors import RegistryAccessError
from model.registry.urls import has_plain_slash, is_url, masked, url_at, without_secrets

LOCK_NAME = ".lock"


class Store(Protocol):
    """Files by their path below the registry, parts joined by "/".

    All methods raise RegistryAccessError if the place cannot be reached, read or written; only `read` raises
    FileNotFoundError.

    Attributes:
        place: folder or URL, for messages.
    """

    place: str

    def read(self, path: str) -> bytes:
        """Return the content of a file; raise FileNotFoundError if there is none."""
        ...

    def write(self, path: str, content: bytes) -> None:
        """Write or replace a file in one move."""
        ...

    def glob(self, pattern: str) -> list[str]:
        """Return the paths that match a pattern part by part; none if there is no such folder."""
        ...

    def remove(self, path: str) -> None:
        """Remove a file, if it is there, and its folder if nothing else is in it."""
        ...

    def lock(self, folder: str) -> AbstractContextManager[None]:
        """Lock a folder against other writers while the block runs, if the place has locks."""
        ...


def open_store(url: str | Path) -> Store:
    """Open the store at a folder or an fsspec URL, or at the one written in `env:NAME` or `file:PATH`.

    Raises:
        RegistryAccessError: the URL is empty, no installed package knows such URLs, the server cannot be reached, the
            URL's password has an unescaped separator, or the variable or file is missing or empty.
    """
    if isinstance(url, Path):
        return FolderStore(url)
    url = url_at(url)
    if not url.removeprefix("file://").strip():
        msg = f"the registry's folder or URL is empty ({url!r}): give one by --registry or models.url"
        raise RegistryAccessError(msg)
    if not is_url(url):
        return FolderStore(Path(url))
    if has_plain_slash(url):
        msg = (
            f"the registry {without_secrets(url)} cannot be opened: in a password, / ? # and @ are written "
            "%2F %3F %23 and %40"
        )
        raise RegistryAccessError(msg)
    from fsspec.core import url_to_fs  # fsspec takes 0.1 s to import
    from fsspec.implementations.local import LocalFileSystem

    try:
        filesystem, root = url_to_fs(url)
    except (ImportError, ValueError, OSError) as error:  # "Install s3fs to access S3", an unknown kind, no server
        msg = f"the registry {without_secrets(url)} cannot be opened"
        raise _access_error(msg, error, url) from None
    if isinstance(filesystem, LocalFileSystem):
        return FolderStore(Path(root))
    return _UrlStore(filesystem, root, url)


def _access_error(problem: str, error: Exception, url: str) -> RegistryAccessError:
    """Return the error without the URL's secrets; raise it `from None`, since a traceback of its cause shows them."""
    reason = masked(str(error), url) or type(error).__name__
    return RegistryAccessError(f"{problem}: {reason}")


class FolderStore:
    """A store in a folder on this machine, or mounted on it; all processes that see the folder share its locks."""

    def __init__(self, folder: Path) -> None:
        self.place = str(folder)
        self._folder = folder

    def read(self, path: str) -> bytes:
        """See Store."""
        with self._reaching(FileNotFoundError):
            return (self._folder / path).read_bytes()

    def write(self, path: str, content: bytes) -> None:
        """See Store. After a loss of power, either the old file or the new one is there."""
        target = self._folder / path
        with self._reaching():
            target.parent.mkdir(parents=True, exist_ok=True)
            replace_file(target, content)  # the caller has the lock, so there is one writer at a time

    def glob(self, pattern: str) -> list[str]:
        """See Store."""
        with self._reaching():
            return list(_matching(self._folder, "", pattern.split("/")))

    def remove(self, path: str) -> None:
        """See Store."""
        target = self._folder / path
        with self._reaching():
            target.unlink(missing_ok=True)
        with suppress(OSError):  # something else is in it
            target.parent.rmdir()

    @contextmanager
    def lock(self, folder: str) -> Iterator[None]:
        """See Store."""
        with ExitStack() as locks:
            with self._reaching():
                locks.enter_context(locked(self._folder / folder / LOCK_NAME))
            yield

    @contextmanager
    def _reaching(self, *passed: type[Exception]) -> Iterator[None]:
        try:
            yield
        except passed:
            raise
        except OSError as error:
            reason = f"{error.filename}: {error.strerror}" if error.filename else str(error)
            msg = f"the registry {self.place} cannot be used ({reason}); give a folder that may be read and written"
            raise RegistryAccessError(msg) from error


def _matching(folder: Path, before: str, parts: list[str]) -> Iterator[str]:
    """Yield the paths below a folder that match part by part; unlike Path.glob, do not skip unreadable folders.

    Raises:
        OSError: the folder, or a matching one below it, cannot be read.
    """
    first, *others = parts
    try:
        names = sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return
    for name in fnmatch.filter(names, first):
        if not others:
            yield before + name
        elif (folder / name).is_dir():
            yield from _matching(folder / name, f"{before}{name}/", others)


class _UrlStore:
    """A store at a URL that fsspec can open, such as an object store or a server; it has no locks."""

    def __init__(self, filesystem: Any, root: str, url: str) -> None:
        self.place = without_secrets(url)
        self._url = url
        self._filesystem = filesystem
        root, question_mark, query = root.partition("?") if is_url(root) else (root, "", "")  # HTTP's root is its URL
        self._root = root.rstrip("/")
        self._query = question_mark + query

    def read(self, path: str) -> bytes:
        """See Store."""
        with self._reaching(FileNotFoundError) as filesystem:
            content: bytes = filesystem.cat_file(self._at(path))
            return content

    def write(self, path: str, content: bytes) -> None:
        """See Store. It is one put of one object, which object stores show whole or not at all."""
        with self._reaching() as filesystem, tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            filesystem.put_file(file.name, self._at(path))  # unlike pipe_file it makes folders, where there are any

    def glob(self, pattern: str) -> list[str]:
        """See Store."""
        parts = pattern.count("/") + 1
        try:
            with self._reaching(FileNotFoundError) as filesystem:
                found: list[str] = filesystem.glob(self._at(pattern))
        except FileNotFoundError:
            return []
        return ["/".join(path.split("/")[-parts:]) for path in found]

    def remove(self, path: str) -> None:
        """See Store. Object stores have no empty folders; on other servers an empty folder stays."""
        with self._reaching() as filesystem:
            if filesystem.exists(self._at(path)):
                filesystem.rm_file(self._at(path))

    def lock(self, folder: str) -> AbstractContextManager[None]:
        """See Store. There are no locks."""
        return nullcontext()

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}{self._query}"

    @contextmanager
    def _reaching(self, *passed: type[FileNotFoundError]) -> Iterator[Any]:
        try:
            self._filesystem.invalidate_cache()  # to see the files that other processes wrote
            yield self._filesystem
        except passed as error:
            raise FileNotFoundError(masked(str(error), self._url)) from None
        except Exception as error:  # each implementation raises what its own library raises
            msg = f"the registry {self.place} cannot be used"
            raise _access_error(msg, error, self._url) from None

"""The exceptions of the tables, as a tree.

TablesError             the root; its text says what to do
├── TablesBusyError       the lock of the folder was not free in time
├── UnreadableTableError  a folder or file of a table is there, but cannot be read
├── NotAQueryError        the statement would do more than read
├── QueryFailedError      the engine refused the query, or failed
└── ExportError           a query's rows cannot be written to the requested file
"""

from pathlib import Path

from model.errors import RecloopError


class TablesError(RecloopError):
    """An error of the tables, or of a query over them."""


class TablesBusyError(TablesError):
    """The lock of the tables folder was not free in time; try again later."""


class UnreadableTableError(TablesError):
    """A folder or file of the tables is there, but cannot be read."""


class NotAQueryError(TablesError):
    """The statement is not of a kind that only reads."""


class QueryFailedError(TablesError):
    """The engine refused the query, or failed while running it."""


class ExportError(TablesError):
    """The file is there already, or cannot be written."""


def unreadable(path: str | Path, error: OSError | None = None) -> UnreadableTableError:
    """Return the error for a folder or file that cannot be read; without a cause this user may not read it."""
    if error is None or isinstance(error, PermissionError):
        return UnreadableTableError(f"{path} may not be read by this user: let the user read it, or query as another")
    return UnreadableTableError(f"{path} cannot be read: {error.strerror or error}")

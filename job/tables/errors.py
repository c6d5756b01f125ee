"""What can go wrong with the tables: one tree of exceptions.

TablesError             the root; its text says what to do
├── TablesBusyError       the lock of the folder was not free in time
├── UnreadableTableError  a folder or file of a table is there and may not be read
├── NotAQueryError        the statement would do more than read
├── QueryFailedError      the engine refused or failed the query
└── ExportError           a query's rows cannot be written where they were to be
"""

from model.errors import RecloopError


class TablesError(RecloopError):
    """Anything wrong with the tables or a query over them."""


class TablesBusyError(TablesError):
    """The lock of the tables folder was not free in time; trying again later is right."""


class UnreadableTableError(TablesError):
    """A folder or file of the tables is there, and cannot be read."""


class NotAQueryError(TablesError):
    """The statement is not one of the reading kinds."""


class QueryFailedError(TablesError):
    """The engine refused the query, or failed while it ran."""


class ExportError(TablesError):
    """The file is there already, or cannot be written."""

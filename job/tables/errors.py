"""What can go wrong with the tables; every message says what to do.

TablesError
├── TablesBusy    the lock of the folder was not free in time
├── NotAQuery     the statement would do more than read
└── QueryFailed   the engine refused or failed the query
"""


class TablesError(Exception):
    """Parent of the others."""


class TablesBusy(TablesError):
    """The lock of the tables folder was not free in time; trying again later is right."""


class NotAQuery(TablesError):
    """The statement is not one of the reading kinds."""


class QueryFailed(TablesError):
    """The engine refused the query, or failed while it ran."""

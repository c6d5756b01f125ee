"""Errors of data sets; every message says what to do.

DatasetError
├── SourceError        the given file or folder is missing or is not of the named format
├── DownloadError      the public data could not be fetched, or is not what it should be
├── ActionMapError     --actions cannot be understood
└── NotPreparedError   the folder is no prepared data set
"""

from model.errors import RecloopError

PREPARE_AGAIN = "make the set again: recloop data prepare ... --force, or recloop data generate"


class DatasetError(RecloopError):
    """A data set that cannot be made or read."""


class SourceError(DatasetError):
    """A given file or folder that is missing, or is not of the named format."""


class DownloadError(DatasetError):
    """Public data that could not be fetched, or whose sha256 is not the expected one."""


class ActionMapError(DatasetError):
    """A mapping from a data set's own actions to the action table that cannot be understood."""


class NotPreparedError(DatasetError):
    """A folder that is no prepared data set."""

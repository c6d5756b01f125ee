"""What can go wrong with a data set; every message says what to do about it.

DatasetError
├── SourceError        the given file or folder is missing or is not of the named format
├── DownloadError      the public data could not be fetched, or is not what it should be
├── ActionMapError     --actions cannot be understood
└── NotPreparedError   the folder is no prepared data set
"""

from model.errors import RecloopError


class DatasetError(RecloopError):
    """A data set cannot be made or read."""


class SourceError(DatasetError):
    """The given file or folder is missing, or is not of the named format."""


class DownloadError(DatasetError):
    """The public data could not be fetched, or its sha256 is not the expected one."""


class ActionMapError(DatasetError):
    """The mapping from a data set's own actions to the action table cannot be understood."""


class NotPreparedError(DatasetError):
    """The folder is no prepared data set."""

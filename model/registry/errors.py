"""The errors of a registry; an error of a bundle in it is a `BundleError`."""

from model.errors import RecloopError


class RegistryError(RecloopError):
    """A failure of a registry call; the message gives the reason and the remedy.

    RegistryError
    ├── RegistryAccessError    the folder or URL cannot be reached, read or written
    ├── RegistryCorruptError   a model's pointers cannot be understood
    ├── RegistryMissingError   there is no such model or version, or nothing to move a pointer to
    ├── RegistryMoveError      the pointers cannot make this move
    ├── RegistryNameError      a model's or version's name is no plain word
    └── VersionTakenError      the version is there already, with other content
    """


class RegistryAccessError(RegistryError):
    """A folder or URL that cannot be reached, read or written; another try may succeed."""


class RegistryCorruptError(RegistryError):
    """A pointers file that cannot be understood."""


class RegistryMissingError(RegistryError):
    """A missing model, version or pointer."""


class RegistryMoveError(RegistryError):
    """A move that the pointers cannot make."""


class RegistryNameError(RegistryError):
    """A name of a model or version that cannot be the name of a folder."""


class VersionTakenError(RegistryError):
    """A version that is there already with other content; versions are immutable."""

"""What can be wrong with a registry; what can be wrong with a bundle in it is a `BundleError`."""

from model.errors import RecloopError


class RegistryError(RecloopError):
    """A registry cannot do what was asked; the message says why and what to do.

    RegistryError
    ├── RegistryAccessError    the folder or URL cannot be reached, read or written
    ├── RegistryCorruptError   a model's pointers cannot be understood
    ├── RegistryMissingError   there is no such model or version, or nothing to move a pointer to
    ├── RegistryMoveError      the pointers cannot move that way
    ├── RegistryNameError      a model's or version's name is no plain word
    └── VersionTakenError      the version is there already, with other content
    """


class RegistryAccessError(RegistryError):
    """The folder or URL cannot be reached, read or written; another try may succeed."""


class RegistryCorruptError(RegistryError):
    """The file with a model's pointers cannot be understood."""


class RegistryMissingError(RegistryError):
    """There is no such model, version or pointer."""


class RegistryMoveError(RegistryError):
    """The pointers cannot move that way."""


class RegistryNameError(RegistryError):
    """A name of a model or version could not be the name of a folder."""


class VersionTakenError(RegistryError):
    """A version is immutable, and this one is there already with other content."""

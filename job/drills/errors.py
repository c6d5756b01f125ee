"""Why a drill could not be run; what it found is no error but a verdict."""

from model.errors import RecloopError


class DrillError(RecloopError):
    """A drill did not come to its verdict; the message says where to look."""

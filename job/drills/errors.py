"""The error of a drill that could not be run; what a drill finds is no error but a verdict."""

from model.errors import RecloopError


class DrillError(RecloopError):
    """A drill did not reach a verdict; the message says where to look."""

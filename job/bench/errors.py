"""What ends a bench: one exception."""

from model.errors import RecloopError


class BenchError(RecloopError):
    """A part did not come to its end; the message says where to look."""

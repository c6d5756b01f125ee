"""The exception that ends a bench."""

from model.errors import RecloopError


class BenchError(RecloopError):
    """A part did not finish; the message says where to look."""

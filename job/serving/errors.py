"""Errors of serving."""

from model.errors import RecloopError


class ServingError(RecloopError):
    """Serving that cannot start; the text says what to do."""

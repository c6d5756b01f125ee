"""Errors of `recloop learn` that a user can act on."""

from model.errors import RecloopError


class LearnError(RecloopError):
    """A model that cannot be learned on; the message says why and what to do."""

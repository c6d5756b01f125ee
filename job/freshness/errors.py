"""The error of an evaluation through the job that could not be finished."""

from model.errors import RecloopError


class LiveError(RecloopError):
    """The job could not be measured; the message says why, and what to do."""

"""The root of all errors that a user or a cluster can cause.

RecloopError    the text is one sentence that says what is wrong, and what to do
The errors modules draw the largest trees below it; an error of one file stands in that file. The command line turns a
RecloopError into its text and exit code 1; anything else is a fault of the program and keeps its traceback.
"""


class RecloopError(Exception):
    """An error that a user can do something about; the text says what to do."""


class TrainingError(RecloopError, ValueError):
    """A recommender that cannot be trained on this data, in this size or with these settings."""

"""What ends a bench: one exception."""


class BenchError(Exception):
    """A part did not come to its end; the message says where to look."""

"""The memory that a model finds: one that leaks finds less and less, and only the end of its process gives it back."""

_IN_A_ROW = 3
_WORDS = ("allocate memory", "out of memory")
"""Part of what torch says when it finds none, on the CPU and on a GPU; it raises plain RuntimeErrors."""


class OutOfMemory:
    """A count of calls in a row that found no memory, of a model that had enough before.

    A model that never had enough is none that leaks: another process would not help it.
    """

    def __init__(self) -> None:
        self._answered = False
        self._failed = 0

    def answered(self) -> None:
        """Note a call that was answered."""
        self._answered, self._failed = True, 0

    def is_for_good(self, error: BaseException) -> bool:
        """Note a call that failed, and return whether it is one too many for lack of memory."""
        lacks = isinstance(error, MemoryError) or any(word in str(error) for word in _WORDS)
        self._failed = self._failed + 1 if lacks else 0
        return self._answered and self._failed >= _IN_A_ROW

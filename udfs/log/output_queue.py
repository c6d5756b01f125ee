"""The amount of an operator's output that its readers have not taken yet.

Flink reports it in its metrics, but has no interface for the operator itself: it is read out of the runtime context.
"""

from typing import Any


class OutputQueue:
    """The network buffers between an operator that runs in the JVM and those that read from it."""

    def __init__(self, context: Any) -> None:
        """Find the buffers of the operator whose runtime context this is, and of those chained to it."""
        # Imported here: the module exists only inside a thread-mode interpreter, where Java's classes do.
        from pemja import findClass

        fields = findClass("org.apache.commons.lang3.reflect.FieldUtils")
        task = fields.readField(context._runtime_context, "taskEnvironment", True)
        self._parts = [
            (writer, part) for writer in task.getAllWriters() for part in range(writer.getNumberOfSubpartitions())
        ]

    def longest(self) -> int:
        """Return the number of bytes queued for the reader with the longest queue."""
        return max(int(writer.getBytesInQueueUnsafe(part)) for writer, part in self._parts)

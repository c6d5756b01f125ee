"""The checkpoint that Flink restored a task from, which no interface of a function gives."""

from typing import Any


def restored_checkpoint(context: Any) -> int | None:
    """Return the number of the checkpoint that this task was restored from; None where it began anew.

    Args:
        context: the runtime context of a function in thread mode.
    """
    # Imported here: the module exists only inside a thread-mode interpreter, where Java's classes do.
    from pemja import findClass

    fields = findClass("org.apache.commons.lang3.reflect.FieldUtils")
    task = fields.readField(context._runtime_context, "taskEnvironment", True)
    restored = task.getTaskStateManager().getRestoreCheckpointId()
    return int(restored.get()) if restored.isPresent() else None

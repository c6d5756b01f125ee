"""The number of a subtask and of all of them, which PyFlink's own methods do not find in thread mode."""

from typing import Any


def subtask_number(context: Any) -> int:
    """Return the number of a function's subtask, from 0.

    Args:
        context: the runtime context of a function in thread mode; the Java method moved, and PyFlink calls the old one.
    """
    return int(context._runtime_context.getTaskInfo().getIndexOfThisSubtask())


def subtasks(context: Any) -> int:
    """Return the number of subtasks of a function's operator; the context is that of `subtask_number`."""
    return int(context._runtime_context.getTaskInfo().getNumberOfParallelSubtasks())

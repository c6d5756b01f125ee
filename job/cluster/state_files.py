"""The JSON files in a cluster's state folder, read back with their types checked."""

from pathlib import Path
from typing import TypeVar

import msgspec

from job.cluster.errors import ClusterError

_Content = TypeVar("_Content")


def state_file_error(path: Path, fault: str) -> ClusterError:
    """Return the error for a file that is not as a running cluster needs it."""
    advice = f"recloop cluster stop --dir {path.parent} ends the cluster, and its next start writes the file anew"
    return ClusterError(f"{path} is {fault}: {advice}")


def read_state_file(path: Path, kind: type[_Content]) -> _Content:
    """Return the content of a file.

    Raises:
        FileNotFoundError: there is no such file.
        ClusterError: it is damaged; the text names it and what to do.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (ValueError, RecursionError) as error:
        raise state_file_error(path, f"damaged ({error})") from error

"""The files of a checkpoint that Flink wrote: how it is seen to be complete, and Flink's number of it."""

import struct
from pathlib import Path

METADATA = "_metadata"
"""The file that Flink writes last, so that a folder which has it holds a complete savepoint or checkpoint."""
_HEADER = struct.Struct(">iiq")  # magic number, version, id of the checkpoint
_MAGIC = 0x4960672D


def checkpoint_number(metadata: Path) -> int:
    """Return Flink's count from the beginning of the file; 0 if the file has no such header."""
    with metadata.open("rb") as file:
        header = file.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return 0
    magic, _, checkpoint_id = _HEADER.unpack(header)
    return int(checkpoint_id) if magic == _MAGIC else 0


def newest_checkpoint(checkpoints: Path, job_id: str) -> Path | None:
    """Return the folder of a job's newest complete checkpoint below the folder of all; None if there is none."""
    found = ((checkpoint_number(each), each.parent) for each in (checkpoints / job_id).glob(f"chk-*/{METADATA}"))
    return max((each for each in found if each[0]), default=(0, None))[1]

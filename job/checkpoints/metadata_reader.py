"""A reader of a checkpoint's metadata by Flink's own classes: `python -m job.checkpoints.metadata_reader`.

It is a program of its own, as it starts a JVM. Nothing that it reads is changed, and no running job is disturbed.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from py4j.protocol import Py4JError, Py4JJavaError
from pyflink.java_gateway import get_gateway

from job.checkpoints.contents import INDEX, CheckpointError, Contents, KeyedState, Operator, RocksFiles, SnapshotFile

_NO_OFFSET = 0


def main() -> None:
    """Write the index of a checkpoint; the arguments are its `_metadata` and a folder for the index and small files."""
    metadata, folder = map(Path, sys.argv[1:])
    try:
        contents = _Reader(metadata, folder).read()
    except CheckpointError as error:
        _refuse(str(error))
    except Py4JJavaError as error:
        _refuse(str(error.java_exception))
    except Py4JError as error:
        _refuse(str(error))
    (folder / INDEX).write_bytes(msgspec.json.encode(contents))
    os._exit(0)  # threads of PyFlink's own would wait for the JVM, which ends with this process


def _refuse(reason: str) -> None:
    print(" ".join(reason.split()), file=sys.stderr, flush=True)
    os._exit(1)


class _Reader:
    """A reader of one checkpoint; state that is inside the metadata is written into files of the folder."""

    def __init__(self, metadata: Path, folder: Path) -> None:
        self._metadata = metadata
        self._folder = folder
        self._jvm = get_gateway().jvm
        self._numbers = count()

    def read(self) -> Contents:
        """Read the metadata.

        Raises:
            Py4JJavaError: it is damaged.
            CheckpointError: a state is of a form that this program does not read.
        """
        java = self._jvm.java
        stream = java.io.DataInputStream(java.io.FileInputStream(str(self._metadata)))
        loader = self._jvm.Thread.currentThread().getContextClassLoader()
        checkpoints = self._jvm.org.apache.flink.runtime.checkpoint.Checkpoints
        try:
            metadata = checkpoints.loadCheckpointMetadata(stream, loader, str(self._metadata.parent))
        finally:
            stream.close()
        operators = tuple(self._operator(state) for state in self._each(metadata.getOperatorStates()))
        return Contents(checkpoint_id=metadata.getCheckpointId(), operators=operators)

    def _operator(self, state: Any) -> Operator:
        subtasks = list(self._each(state.getStates()))
        keyed = [handle for each in subtasks for handle in self._each(each.getManagedKeyedState())]
        timers = [handle for each in subtasks for handle in self._each(each.getRawKeyedState())]
        keyed_bytes, timer_bytes = (sum(each.getStateSize() for each in part) for part in (keyed, timers))
        return Operator(
            uid=str(state.getOperatorUid().orElse(state.getOperatorID().toString())),
            parallelism=state.getParallelism(),
            max_parallelism=state.getMaxParallelism(),
            keyed_bytes=keyed_bytes,
            timer_bytes=timer_bytes,
            other_bytes=max(0, state.getStateSize() - keyed_bytes - timer_bytes),
            keyed=tuple(map(self._keyed, keyed)),
        )

    def _keyed(self, handle: Any) -> KeyedState:
        kind = handle.getClass().getSimpleName()
        if kind == "IncrementalRemoteKeyedStateHandle":
            return self._rocks_files(handle)
        if kind == "KeyGroupsSavepointStateHandle":
            return self._snapshot(handle)
        msg = (
            f"its keyed state is a {kind}, which is neither RocksDB's of an incremental checkpoint nor a savepoint's "
            "of the canonical form: take a savepoint of that form"
        )
        raise CheckpointError(msg)

    def _rocks_files(self, handle: Any) -> RocksFiles:
        files = [each for part in (handle.getSharedState(), handle.getPrivateState()) for each in self._each(part)]
        groups = handle.getKeyGroupRange()
        return RocksFiles(
            first_group=groups.getStartKeyGroup(),
            last_group=groups.getEndKeyGroup(),
            files={each.getLocalPath(): self._file(each.getHandle()) for each in files},
        )

    def _snapshot(self, handle: Any) -> SnapshotFile:
        offsets = handle.getGroupRangeOffsets()
        groups = offsets.getKeyGroupRange()
        found = {
            group: offsets.getKeyGroupOffset(group)
            for group in range(groups.getStartKeyGroup(), groups.getEndKeyGroup() + 1)
        }
        names, compressed = self._described(handle)
        return SnapshotFile(
            path=self._file(handle.getDelegateStateHandle()),
            states=names,
            offsets={group: offset for group, offset in found.items() if offset != _NO_OFFSET},
            compressed=compressed,
        )

    def _described(self, handle: Any) -> tuple[tuple[str, ...], bool]:
        """Return what the file says of itself: the names of its states, and whether it is compressed."""
        flink = self._jvm.org.apache.flink
        stream = handle.openInputStream()
        try:
            described = flink.runtime.state.KeyedBackendSerializationProxy(
                self._jvm.Thread.currentThread().getContextClassLoader()
            )
            described.read(flink.core.memory.DataInputViewStreamWrapper(stream))
        finally:
            stream.close()
        states = self._each(described.getStateMetaInfoSnapshots())
        return tuple(str(each.getName()) for each in states), bool(described.isUsingKeyGroupCompression())

    def _file(self, handle: Any) -> str:
        """Return the path of a file of state; one that is not on this machine's disks is copied into the folder."""
        path = handle.maybeGetPath().orElse(None)
        if path is not None and path.toUri().getScheme() in (None, "file"):
            return str(path.getPath())
        target = self._folder / f"file-{next(self._numbers)}"
        stream = handle.openInputStream()
        try:
            options = get_gateway().new_array(self._jvm.java.nio.file.CopyOption, 0)
            self._jvm.java.nio.file.Files.copy(stream, self._jvm.java.io.File(str(target)).toPath(), options)
        finally:
            stream.close()
        return str(target)

    def _each(self, collection: Iterable[Any]) -> Iterator[Any]:
        """Iterate over a collection of Java's; py4j iterates over lists only."""
        return iter(self._jvm.java.util.ArrayList(collection))


if __name__ == "__main__":
    main()

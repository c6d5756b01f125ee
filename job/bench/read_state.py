"""A reader of keyed state from an incremental RocksDB checkpoint: `python -m job.bench.read_state`.

Flink's own classes list the files of a subtask's state; RocksDB itself reads them. It needs no running job, and
disturbs none.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pyflink.java_gateway import get_gateway
from rocksdict import AccessType, Options, Rdict

from job.bench.state_size import Family


def main() -> None:
    """Print all families as JSON in one line; the arguments are CHECKPOINT FOLDER OPERATOR..."""
    checkpoint, folder, *operators = sys.argv[1:]
    families = [asdict(each) for each in read(Path(checkpoint), Path(folder), operators)]
    print(json.dumps(families))


def read(checkpoint: Path, folder: Path, operators: list[str]) -> Iterator[Family]:
    """Yield every state of the operators; their files are copied into the folder, and removed once read.

    Raises:
        LookupError: the checkpoint has no such operator.
    """
    jvm = get_gateway().jvm
    stream = jvm.java.io.DataInputStream(jvm.java.io.FileInputStream(str(checkpoint / "_metadata")))
    loader = jvm.Thread.currentThread().getContextClassLoader()
    checkpoints = jvm.org.apache.flink.runtime.checkpoint.Checkpoints
    metadata = checkpoints.loadCheckpointMetadata(stream, loader, str(checkpoint))
    states = jvm.java.util.ArrayList(metadata.getOperatorStates())
    found = {state.getOperatorUid().orElse(""): state for state in states}
    for name in operators:
        if name not in found:
            msg = f"{checkpoint} has no operator {name}, only {sorted(found)}"
            raise LookupError(msg)
        # py4j iterates over lists only, not over other collections.
        subtasks = jvm.java.util.ArrayList(found[name].getStates())
        handles = [each for task in subtasks for each in jvm.java.util.ArrayList(task.getManagedKeyedState())]
        for number, handle in enumerate(handles):
            copy = folder / f"{name}-{number}"
            _copy(jvm, handle, copy)
            yield from _families(name, copy)


def _copy(jvm: Any, handle: Any, folder: Path) -> None:
    """Copy all files of a handle, under the names that RocksDB gave them."""
    folder.mkdir(parents=True)
    options = get_gateway().new_array(jvm.java.nio.file.CopyOption, 0)
    for files in (handle.getSharedState(), handle.getPrivateState()):
        for each in jvm.java.util.ArrayList(files):
            target = jvm.java.io.File(str(folder / each.getLocalPath())).toPath()
            stream = each.getHandle().openInputStream()
            jvm.java.nio.file.Files.copy(stream, target, options)
            stream.close()


def _families(operator: str, folder: Path) -> Iterator[Family]:
    """Yield the sums of each column family that has entries, and remove the folder."""
    names = Rdict.list_cf(str(folder), Options(raw_mode=True))
    families = {name: Options(raw_mode=True) for name in names}
    database = Rdict(str(folder), Options(raw_mode=True), families, AccessType.read_only())
    try:
        for name in names:
            entries = [(len(key), len(value)) for key, value in database.get_column_family(name).items()]
            if entries:
                keys, values = map(sum, zip(*entries, strict=True))
                yield Family(operator, name, len(entries), keys, values)
    finally:
        database.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

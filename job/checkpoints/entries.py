"""The entries of a subtask's keyed state, as RocksDB or Flink's savepoint stores them: state, key and value, as bytes.

Pure readers of files: no JVM. What is damaged raises CheckpointError, and never comes out as an entry.
"""

import mmap
import struct
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from job.checkpoints.contents import CheckpointError, KeyedState, RocksFiles, SnapshotFile

_SHORT, _INT = struct.Struct(">H"), struct.Struct(">i")
_END_OF_GROUP = 0xFFFF
_STATE_FOLLOWS = 0x80
"""The bit of a key's first byte that says that the number of the next entry's state follows."""
_TIMERS = "_timer_state/"


class Entry(NamedTuple):
    """An entry of a state: bytes in the forms of Flink's serializers."""

    state: str
    key: bytes
    value: bytes


def entries(keyed: KeyedState, group: int | None = None, prefix: bytes = b"") -> Iterator[Entry]:
    """Yield the entries of a subtask's keyed state, timers left out.

    Args:
        keyed: the state.
        group: the only key group to read; None reads all.
        prefix: the bytes with which the keys of that group begin.

    Raises:
        CheckpointError: a file is gone or damaged.
    """
    try:
        found = _of_rocksdb(keyed, group, prefix) if isinstance(keyed, RocksFiles) else _of_savepoint(keyed, group)
        yield from (each for each in found if not each.state.startswith(_TIMERS))
    except OSError as error:
        msg = (
            f"{error.filename or keyed} cannot be read ({error.strerror or error}): a running job deletes checkpoints "
            "older than its newest three; take a newer one, or a savepoint"
        )
        raise CheckpointError(msg) from error


def _of_rocksdb(keyed: RocksFiles, group: int | None, prefix: bytes) -> Iterator[Entry]:
    if group is not None and not keyed.first_group <= group <= keyed.last_group:
        return
    from rocksdict import AccessType, Options, Rdict  # other files are read without it

    with _linked(keyed) as folder:
        try:
            names = Rdict.list_cf(str(folder), Options(raw_mode=True))
            families = {name: Options(raw_mode=True) for name in names}
            database = Rdict(str(folder), Options(raw_mode=True), families, AccessType.read_only())
            with closing(database):
                for name in names:
                    for key, value in database.get_column_family(name).items(from_key=prefix or None):
                        if not key.startswith(prefix):
                            break
                        yield Entry(name, key, value)
        except Exception as error:  # RocksDB's own have no common type but this
            if isinstance(error, OSError | CheckpointError):
                raise
            msg = f"RocksDB cannot read the state of key groups {keyed.first_group} to {keyed.last_group}: {error}"
            raise CheckpointError(msg) from error


@contextmanager
def _linked(keyed: RocksFiles) -> Iterator[Path]:
    """Yield a folder in which links to all files have the names that RocksDB gave them: nothing is copied."""
    with TemporaryDirectory(prefix="recloop-checkpoint-") as name:
        for file, path in keyed.files.items():
            if Path(file).name != file:
                msg = f"the metadata names a file {file!r} of RocksDB, which is no name of a file: it is damaged"
                raise CheckpointError(msg)
            Path(path).stat()
            (Path(name) / file).symlink_to(path)
        yield Path(name)


def _of_savepoint(keyed: SnapshotFile, only: int | None) -> Iterator[Entry]:
    wanted = [group for group in keyed.offsets if only in (None, group)]
    if not wanted:
        return
    path = Path(keyed.path)
    begins = sorted(keyed.offsets.values())
    ends = dict(zip(begins, [*begins[1:], path.stat().st_size], strict=True))
    group = wanted[0]
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            for group in wanted:
                begin = keyed.offsets[group]
                data = content[begin : ends[begin]]
                yield from _of_group(_decompressed(data) if keyed.compressed else data, keyed.states)
    except (struct.error, IndexError, ValueError) as error:
        msg = f"{path} is damaged in key group {group} ({error}): take another savepoint"
        raise CheckpointError(msg) from error


def _of_group(data: bytes, states: tuple[str, ...]) -> Iterator[Entry]:
    """Yield the entries of a key group; a state's number stands before the first of its entries."""
    (number,) = _SHORT.unpack_from(data, 0)
    at = _SHORT.size
    while number != _END_OF_GROUP:
        key, at = _sized(data, at)
        value, at = _sized(data, at)
        follows = key[0] & _STATE_FOLLOWS
        yield Entry(states[number], bytes((key[0] & ~_STATE_FOLLOWS,)) + key[1:], value)
        if follows:
            (number,) = _SHORT.unpack_from(data, at)
            at += _SHORT.size


def _sized(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the bytes whose length stands at a place, and the place behind them."""
    (size,) = _INT.unpack_from(data, at)
    begin = at + _INT.size
    if not 0 <= size <= len(data) - begin:
        msg = f"an entry of {size} bytes at {at} of {len(data)}"
        raise ValueError(msg)
    return data[begin : begin + size], begin + size


def _decompressed(data: bytes) -> bytes:
    import snappy  # few savepoints are compressed

    reader: Any = snappy.StreamDecompressor()
    try:
        return bytes(reader.decompress(data))
    except Exception as error:  # the library's own type depends on its release
        raise ValueError(str(error)) from error

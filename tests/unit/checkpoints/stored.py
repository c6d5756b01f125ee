"""State as Flink's serializers and its savepoints write it, and as RocksDB stores it: real files, without a JVM."""

import struct
from collections.abc import Iterable, Mapping
from pathlib import Path

import snappy

from job.checkpoints.checkpoint import Checkpoint
from job.checkpoints.contents import Contents, KeyedState, Operator, RocksFiles, SnapshotFile
from udfs.buckets import bucket_key, bucket_keys, key_group, partition_keys
from udfs.lists.list_codec import encode_list
from udfs.lists.user_list import UserList
from udfs.log.position import LogPosition
from udfs.log.position_codec import encode_position
from udfs.trends.trends import encode_sum
from udfs.users.profile import UserProfile
from udfs.users.profile_codec import encode_profile

BUCKETS = 32
_NAMES = ("CURRENT", "MANIFEST-", "OPTIONS-")
Entries = list[tuple[str, bytes, bytes]]


def number(value: int) -> bytes:
    found = b""
    while value >= 0x80:
        found += bytes((value & 0x7F | 0x80,))
        value >>= 7
    return found + bytes((value,))


def stored_text(text: str) -> bytes:
    units = text.encode("utf-16-le")
    numbers = (int.from_bytes(units[at : at + 2], "little") for at in range(0, len(units), 2))
    return number(len(units) // 2 + 1) + b"".join(map(number, numbers))


def stored_key(key: int, map_key: str | None = None, buckets: int = BUCKETS) -> bytes:
    prefix = key_group(key, buckets).to_bytes(1 if buckets <= 128 else 2, "big")
    return prefix + b"\0" + struct.pack(">i", key) + b"\0" + (b"" if map_key is None else stored_text(map_key))


def stored_value(value: bytes, *, in_map: bool) -> bytes:
    return (b"\0" if in_map else b"") + struct.pack(">i", len(value)) + value


def group_of(key: bytes, buckets: int) -> int:
    return int.from_bytes(key[: 1 if buckets <= 128 else 2], "big")


def savepoint_file(path: Path, entries: Entries, *, compressed: bool = False, buckets: int = BUCKETS) -> SnapshotFile:
    """A file of all key groups, as FullSnapshotAsyncWriter writes it."""
    names = tuple(dict.fromkeys(name for name, _, _ in entries))
    groups: dict[int, Entries] = {}
    for each in entries:
        groups.setdefault(group_of(each[1], buckets), []).append(each)
    content, offsets = b"what describes the states, which Flink reads", {}
    for group in sorted(groups):
        offsets[group] = len(content)
        data = group_bytes(sorted(groups[group], key=lambda each: names.index(each[0])), names)
        content += snappy.StreamCompressor().compress(data) if compressed else data
    path.write_bytes(content)
    return SnapshotFile(path=str(path), states=names, offsets=offsets, compressed=compressed)


def group_bytes(entries: Entries, names: tuple[str, ...]) -> bytes:
    found = struct.pack(">H", names.index(entries[0][0]))
    for (name, key, value), after in zip(entries, [*entries[1:], None], strict=True):
        ends = after is None or after[0] != name
        marked = bytes((key[0] | (0x80 if ends else 0),)) + key[1:]
        found += struct.pack(">i", len(marked)) + marked + struct.pack(">i", len(value)) + value
        if ends:
            found += struct.pack(">H", 0xFFFF if after is None else names.index(after[0]))
    return found


def rocks_files(folder: Path, entries: Entries, *, buckets: int = BUCKETS) -> RocksFiles:
    """A database of RocksDB, as a checkpoint holds its files."""
    from rocksdict import Options, Rdict

    database = Rdict(str(folder), Options(raw_mode=True))
    for name in dict.fromkeys(name for name, _, _ in entries):
        family = database.create_column_family(name, Options(raw_mode=True))
        for of, key, value in entries:
            if of == name:
                family[key] = value
        family.flush()
        family.close()  # the database is closed once nobody holds a part of it
    database.flush()
    database.close()
    # What Flink stores of a database: no log of writes, as it flushes first.
    files = {each.name: str(each) for each in folder.iterdir() if each.suffix == ".sst" or each.name.startswith(_NAMES)}
    return RocksFiles(first_group=0, last_group=buckets - 1, files=files)


def of_users(state: str, users: Mapping[str, bytes]) -> Entries:
    return [
        (state, stored_key(bucket_key(user, BUCKETS), user), stored_value(value, in_map=True))
        for user, value in users.items()
    ]


def operator(uid: str, *keyed: KeyedState, buckets: int = BUCKETS) -> Operator:
    return Operator(
        uid=uid,
        parallelism=1,
        max_parallelism=buckets,
        keyed_bytes=sum(len(Path(each.path).read_bytes()) for each in keyed if isinstance(each, SnapshotFile)),
        timer_bytes=0,
        other_bytes=0,
        keyed=keyed,
    )


def checkpoint(
    folder: Path,
    *,
    number: int = 7,
    profiles: Mapping[str, UserProfile] | None = None,
    lists: Mapping[str, UserList] | None = None,
    positions: Iterable[LogPosition] = (),
    trends: Mapping[str, float] | None = None,
) -> Checkpoint:
    """A savepoint of the job's own state, but for its metadata, which only a JVM writes and reads."""
    folder.mkdir(parents=True)
    read = list(positions)
    keys = partition_keys(len(read), BUCKETS)
    found = {
        "track-users": of_users("user_profile", {u: encode_profile(p) for u, p in (profiles or {}).items()}),
        "update-lists": of_users("recommendation_list", {u: encode_list(x) for u, x in (lists or {}).items()}),
        "poll-log": [
            ("log_position", stored_key(key), stored_value(encode_position(each), in_map=False))
            for key, each in zip(keys, read, strict=True)
        ],
        "find-trends": [
            ("trend_sum", stored_key(bucket_keys(BUCKETS)[0], item), stored_value(encode_sum(total), in_map=True))
            for item, total in (trends or {}).items()
        ],
    }
    operators = [operator(uid, savepoint_file(folder / uid, entries)) for uid, entries in found.items()]
    return Checkpoint(folder, Contents(checkpoint_id=number, operators=tuple(operators)))

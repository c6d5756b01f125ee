"""A checkpoint or savepoint that is open for reading: the job's state as its operators stored it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import msgspec

from job.checkpoints.contents import INDEX, CheckpointError, Contents, Operator
from job.checkpoints.entries import Entry, entries
from job.checkpoints.serialized import StateKey, group_prefix, state_key, state_value
from job.cluster.checkpoint_files import METADATA
from job.cluster.java import find_java
from job.cluster.jvm import utf8_locale
from job.cluster.layout import flink_home
from job.cluster.uris import local_path
from job.deployment.shipping import PROJECT
from udfs.hashing import stable_hash
from udfs.lists.list_codec import decode_list
from udfs.lists.user_list import UserList
from udfs.log.position import LogPosition
from udfs.log.position_codec import decode_position
from udfs.state_bytes import StateVersionError
from udfs.trends.trends import decode_sum
from udfs.users.profile import UserProfile
from udfs.users.profile_codec import decode_profile

_READ_S = 300.0
_Value = TypeVar("_Value")
POLL_LOG, TRACK_USERS, UPDATE_LISTS, FIND_TRENDS = "poll-log", "track-users", "update-lists", "find-trends"


@dataclass(frozen=True, slots=True)
class UserState:
    """The state of one user; None for what there is none of."""

    user_id: str
    profile: UserProfile | None
    user_list: UserList | None

    @property
    def known(self) -> bool:
        """True if there is any state of the user."""
        return self.profile is not None or self.user_list is not None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint whose metadata was read; its state is read from its files each time.

    All methods that read state raise CheckpointError if a file is gone or damaged, or the state is of another release.
    """

    path: Path
    contents: Contents

    def operator(self, uid: str) -> Operator:
        """Return an operator of the job.

        Raises:
            CheckpointError: there is none of that id.
        """
        found = next((each for each in self.contents.operators if each.uid == uid), None)
        if found is None:
            there = ", ".join(sorted(each.uid for each in self.contents.operators)) or "none"
            msg = f"{self.path} has no operator {uid}, so it is not of this job: its operators are {there}"
            raise CheckpointError(msg)
        return found

    def entries_of(self, operator: Operator, group: int | None = None) -> Iterator[Entry]:
        """Yield the entries of all subtasks of an operator, or of one key group."""
        prefix = b"" if group is None else group_prefix(group, operator.max_parallelism)
        for keyed in operator.keyed:
            yield from entries(keyed, group, prefix)

    def positions(self) -> list[LogPosition]:
        """Return the position of each partition of the log."""
        stored = self._values(POLL_LOG, "log_position", decode_position)
        return sorted((position for _, position in stored), key=lambda each: each.partition)

    def profiles(self) -> Iterator[tuple[str, UserProfile]]:
        """Yield every user's profile."""
        return self._by_text(TRACK_USERS, "user_profile", decode_profile)

    def lists(self) -> Iterator[tuple[str, UserList]]:
        """Yield every user's list."""
        return self._by_text(UPDATE_LISTS, "recommendation_list", decode_list)

    def trends(self) -> Iterator[tuple[str, float]]:
        """Yield every item whose trend is kept, and its sum of weights."""
        return self._by_text(FIND_TRENDS, "trend_sum", decode_sum)

    def raw_profiles(self) -> Iterator[tuple[str, bytes]]:
        """Yield every user's profile as it is stored."""
        return self._by_text(TRACK_USERS, "user_profile", bytes)

    def raw_lists(self) -> Iterator[tuple[str, bytes]]:
        """Yield every user's list as it is stored."""
        return self._by_text(UPDATE_LISTS, "recommendation_list", bytes)

    def user(self, user_id: str) -> UserState:
        """Return the state of one user."""
        profile = self._of_user(user_id, TRACK_USERS, "user_profile", decode_profile)
        return UserState(user_id, profile, self._of_user(user_id, UPDATE_LISTS, "recommendation_list", decode_list))

    def _of_user(self, user_id: str, uid: str, state: str, decode: Callable[[bytes], _Value]) -> _Value | None:
        group = stable_hash(user_id) % self.operator(uid).max_parallelism
        found = self._values(uid, state, decode, group)
        return next((value for key, value in found if key.map_key == user_id), None)

    def _by_text(self, uid: str, state: str, decode: Callable[[bytes], _Value]) -> Iterator[tuple[str, _Value]]:
        return ((key.map_key or "", value) for key, value in self._values(uid, state, decode))

    def _values(
        self, uid: str, state: str, decode: Callable[[bytes], _Value], group: int | None = None
    ) -> Iterator[tuple[StateKey, _Value]]:
        operator = self.operator(uid)
        for entry in self.entries_of(operator, group):
            if entry.state == state:
                try:
                    key = state_key(entry.key, operator.max_parallelism)
                    yield key, decode(state_value(entry.value, in_map=key.map_key is not None))
                except StateVersionError as error:
                    msg = f"{self.path}: {error}"
                    raise CheckpointError(msg) from error
                except (ValueError, TypeError, ArithmeticError, LookupError, msgspec.MsgspecError) as error:
                    msg = f"{self.path} is damaged in the state {state} of {uid} ({error}): take another one"
                    raise CheckpointError(msg) from error


@contextmanager
def open_checkpoint(path: Path) -> Iterator[Checkpoint]:
    """Open a checkpoint or savepoint in a folder of this machine; it takes a JVM's start, of some seconds.

    Raises:
        CheckpointError: it is none, is damaged, or holds state in a form that is not read.
        JavaNotFoundError: there is no Java that runs Flink's classes.
    """
    metadata = metadata_file(path)
    with TemporaryDirectory(prefix="recloop-checkpoint-") as name:
        _run_reader(metadata, Path(name))
        yield Checkpoint(metadata.parent, msgspec.json.decode((Path(name) / INDEX).read_bytes(), type=Contents))


def metadata_file(path: Path) -> Path:
    """Return the file of a checkpoint's metadata, given that file, its folder, or the URI of either.

    Raises:
        CheckpointError: there is none.
    """
    there = local_path(str(path)) or path
    metadata = there if there.name == METADATA else there / METADATA
    if not metadata.is_file():
        msg = f"{path} is no checkpoint or savepoint (it has no {METADATA}): recloop checkpoint list shows them"
        raise CheckpointError(msg)
    return metadata.absolute()


def _run_reader(metadata: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "job.checkpoints.metadata_reader", str(metadata), str(folder)]
    try:
        # In the project's folder, since Python looks for modules first where it runs.
        done = subprocess.run(
            command,
            env=_environment(os.environ),
            cwd=PROJECT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_READ_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"{metadata} was not read in {_READ_S:g} s: is the machine, or the disk that it is on, very busy?"
        raise CheckpointError(msg) from error
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it gave no reason"]
        msg = f"{metadata} cannot be read by Flink {_flink_version()}: {lines[-1]}"
        raise CheckpointError(msg)


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables with which PyFlink starts its JVM; a cluster need not run."""
    java = find_java(environ)
    return {**environ, **utf8_locale(environ), "JAVA_HOME": str(java.home), "FLINK_HOME": str(flink_home())}


def _flink_version() -> str:
    from importlib.metadata import version

    return version("apache-flink")

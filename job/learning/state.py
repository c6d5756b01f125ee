"""The state of learning: one file, which is replaced whole, so that a process killed at any moment goes on from it.

<folder>/state.json          `LearnState`
<folder>/behaviors/*.jsonl   `Segment`s; those that the state does not name are of a killed process
<folder>/candidate           the bundle of the round under way
<folder>/training            the checkpoint of its training
<folder>/.lock               held by the process that learns
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from job.learning.errors import LearnError
from model.file_lock import try_lock
from model.files import replace_file
from model.folders import FolderKind, claim_folder
from model.records import EpochMs
from model.registry.pointers import Version
from udfs.rows import ModelUpdateRow

_STATE, _LOCK = "state.json", ".lock"
_FORMAT = 1
_OURS = FolderKind("a folder of recloop learn", _STATE, frozenset({"segments"}), ())


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A file of behaviours, in the order of the log.

    Attributes:
        name: in the folder of behaviours.
        behaviors: number of its lines.
        newest_ms: newest event time in it.
    """

    name: str
    behaviors: int
    newest_ms: EpochMs


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """The place up to which a partition of the log was read, as `udfs.log.position.LogPosition` has it."""

    next_offset: int = 0
    cursor: bytes = b""
    newest_ms: EpochMs = 0


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A round under way: a candidate that is to be trained and judged.

    Attributes:
        version: of the candidate.
        served: the version that serves, and that the candidate is compared with.
        planned_at_ms: when the round began.
    """

    version: str
    served: Version
    planned_at_ms: EpochMs


class Promoted(msgspec.Struct, frozen=True, kw_only=True):
    """A promotion whose live hit rate is watched.

    Attributes:
        version: that serves since then.
        before: that served before.
        at_ms: when.
    """

    version: Version
    before: Version
    at_ms: EpochMs


class LearnState(msgspec.Struct, frozen=True, kw_only=True):
    """All that learning knows.

    Attributes:
        model: name of the model in the registry.
        places: partition, as text -> how far it was read.
        segments: the behaviours, oldest first.
        followed: number of all behaviours so far, forgotten ones as well.
        judged: of these, the number when the last round began.
        judged_at_ms: when it did.
        plan: the round under way.
        pending: a decision that is made, and not yet carried out.
        decided: number of decisions that were carried out.
        promoted: the promotion that is watched.
    """

    model: str
    places: Mapping[str, Place] = {}
    segments: tuple[Segment, ...] = ()
    followed: int = 0
    judged: int = 0
    judged_at_ms: EpochMs = 0
    plan: Plan | None = None
    pending: ModelUpdateRow | None = None
    decided: int = 0
    promoted: Promoted | None = None
    format: int = _FORMAT


@dataclass(frozen=True, slots=True)
class Folder:
    """The folder of one model's learning."""

    path: Path

    @property
    def behaviors(self) -> Path:
        """The folder of segments."""
        return self.path / "behaviors"

    @property
    def candidate(self) -> Path:
        """The bundle of the round under way."""
        return self.path / "candidate"

    @property
    def training(self) -> Path:
        """The folder of its training's checkpoint."""
        return self.path / "training"

    def read(self, model: str) -> LearnState:
        """Return the state; that of a beginning if there is none.

        Raises:
            LearnError: it is damaged, of another release, or of another model.
        """
        file = self.path / _STATE
        try:
            state = msgspec.json.decode(file.read_bytes(), type=LearnState)
        except FileNotFoundError:
            return LearnState(model=model)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            msg = f"{file} is damaged ({error}): remove {self.path}, and learning begins anew from the log"
            raise LearnError(msg) from error
        if state.format != _FORMAT or state.model != model:
            other = f"of the model {state.model!r}" if state.model != model else f"of format {state.format}"
            msg = f"{file} is {other}: give another learn.folder"
            raise LearnError(msg)
        return state

    def write(self, state: LearnState) -> None:
        """Replace the state; it is on the disk on return."""
        replace_file(self.path / _STATE, msgspec.json.encode(state))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Own the folder during the block; make it first.

        Raises:
            LearnError: another process has it, or it cannot be made.
            NotOursError: it holds something else.
        """
        try:
            claim_folder(self.path, _OURS)
            self.behaviors.mkdir(exist_ok=True)
            file = (self.path / _LOCK).open("ab")
        except OSError as error:
            msg = f"{self.path} cannot be written ({error.strerror}): give another learn.folder"
            raise LearnError(msg) from error
        with file:
            if not try_lock(file):
                msg = f"another recloop learn works in {self.path}: end it, or give another learn.folder"
                raise LearnError(msg)
            yield

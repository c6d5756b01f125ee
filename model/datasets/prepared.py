"""A prepared data set: a folder with the behaviours in time order, the catalogue and a summary.

behaviors.jsonl   a UserBehavior a line, oldest first
items.jsonl       {"item_id", "title", "group"} a line, sorted by item_id
dataset.json      DatasetInfo
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

import msgspec

from model.actions import DEFAULT_ACTIONS, Action, ActionTable
from model.datasets.errors import PREPARE_AGAIN, NotPreparedError
from model.datasets.json_lines import BEHAVIOR, decoded
from model.datasets.reading import Item
from model.event_time import LATEST_MS
from model.folders import FolderKind, mend
from model.records import EpochMs, ItemId, UserBehavior

BEHAVIORS = "behaviors.jsonl"
ITEMS = "items.jsonl"
INFO = "dataset.json"
_EventMs = Annotated[EpochMs, msgspec.Meta(ge=0, le=LATEST_MS)]
DATASET = FolderKind("a data set", INFO, frozenset({"fingerprint", "behaviors"}), (BEHAVIORS, ITEMS, INFO))


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetInfo:
    """The summary of a prepared data set.

    Attributes:
        name: the set's name.
        behaviors: lines of behaviors.jsonl.
        users: different users among them.
        items: lines of items.jsonl.
        first_timestamp: of the oldest behaviour.
        last_timestamp: of the newest behaviour.
        fingerprint: sha256 of behaviors.jsonl.
        actions: the mapping that was used, as --actions reads it.
        source: the source it was made from; an equal source needs no second preparation.
        skipped: reason -> rows of the source that are not in it.
        counted: lines of the source, and headers, blank, continued and rows among them; rows = behaviors + skipped.
        remarks: sentences about what was found in the source.
        action_table: the action table, if it is not the built-in one.
    """

    name: str
    behaviors: int
    users: int
    items: int
    first_timestamp: _EventMs
    last_timestamp: _EventMs
    fingerprint: str
    actions: str
    source: Mapping[str, str]
    skipped: Mapping[str, int]
    counted: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    action_table: Mapping[str, Action] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Dataset:
    """A prepared folder, opened.

    Attributes:
        path: the folder.
        info: its summary.
    """

    path: Path
    info: DatasetInfo

    @classmethod
    def open(cls, path: Path) -> "Dataset":
        """Open a prepared folder, and read its summary.

        Raises:
            NotPreparedError: the folder is no prepared data set, or may not be read.
        """
        mend(path)
        try:
            info = msgspec.json.decode((path / INFO).read_bytes(), type=DatasetInfo)
        except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError) as error:
            if isinstance(error, FileNotFoundError):
                reason = f"it has no {INFO}" if path.is_dir() else "there is no such folder"
            elif isinstance(error, NotADirectoryError):
                reason = "it is a file and no folder"
            else:
                reason = f"{INFO}: {error}"
            msg = f"{path} is no prepared data set ({reason}); make one with: recloop data prepare"
            raise NotPreparedError(msg) from error
        except OSError as error:
            msg = f"{path / INFO} cannot be read ({error.strerror}): let this user read it, or give another data set"
            raise NotPreparedError(msg) from error
        return cls(path, info)

    @property
    def behaviors_path(self) -> Path:
        """The file of behaviours."""
        return self.path / BEHAVIORS

    @property
    def action_table(self) -> ActionTable:
        """The action table that the set was prepared with."""
        return MappingProxyType(dict(self.info.action_table)) if self.info.action_table else DEFAULT_ACTIONS

    def behaviors(self) -> Iterator[UserBehavior]:
        """Yield the behaviours, oldest first.

        Raises:
            NotPreparedError: a line is damaged, or some are lost.
        """
        return decoded(self.lines(), self.behaviors_path, BEHAVIOR)

    def lines(self) -> Iterator[bytes]:
        """Yield the lines of the behaviours.

        Raises:
            NotPreparedError: at the end, if there were fewer or more than the set was made with.
        """
        number, made = 0, self.info.behaviors
        with self.behaviors_path.open("rb") as lines:
            for line in lines:
                number += 1
                yield line
        if number != made or not made:
            msg = f"{self.behaviors_path} has {number} lines, not the {made} that {INFO} tells of; {PREPARE_AGAIN}"
            raise NotPreparedError(msg)

    def items(self) -> dict[ItemId, Item]:
        """Return the catalogue."""
        path = self.path / ITEMS
        with path.open("rb") as lines:
            return {item.item_id: item for item in decoded(lines, path, msgspec.json.Decoder(Item))}


def write_behaviors(folder: Path, blocks: Iterable[bytes]) -> str:
    """Write blocks of whole lines, and return the sha256 of them all, in hex."""
    digest = hashlib.sha256()
    with (folder / BEHAVIORS).open("wb", buffering=1 << 20) as out:
        for block in blocks:
            digest.update(block)
            out.write(block)
    return digest.hexdigest()


def write_catalogue(folder: Path, items: Iterable[Item]) -> None:
    """Write items.jsonl in the order given."""
    encoder = msgspec.json.Encoder()
    with (folder / ITEMS).open("wb") as out:
        out.writelines(encoder.encode(item) + b"\n" for item in items)


def write_info(folder: Path, info: DatasetInfo) -> None:
    """Write the summary; it comes last, so that a folder which has one is whole."""
    (folder / INFO).write_bytes(msgspec.json.format(msgspec.json.encode(info), indent=2) + b"\n")

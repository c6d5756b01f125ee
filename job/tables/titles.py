"""The titles of items, for people who read lists: from a model's bundle or a prepared data set."""

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.json import Decoder

from job.tables.errors import TablesError

Titles = Mapping[str, str]

_ITEMS = "items.jsonl"


class _Item(Struct):
    item_id: str
    title: str | None = None


def read_titles(folder: Path) -> Titles:
    """Read the titles by item id from a data set's `items.jsonl`, or else from a bundle.

    Raises:
        TablesError: the folder is neither, or its files cannot be read.
    """
    path = folder / _ITEMS
    if path.exists():
        try:
            with path.open("rb") as lines:
                return {item.item_id: item.title for item in map(Decoder(_Item).decode, lines) if item.title}
        except (OSError, ValueError, RecursionError) as error:
            msg = f"no titles in {path}: prepare the data set again ({error})"
            raise TablesError(msg) from error
    from model.bundles.bundle import Bundle, BundleError  # the `recloop` command starts without it

    try:
        bundle = Bundle.load(folder)
    except BundleError as error:
        msg = f"no titles in {folder}: give a model's bundle or a prepared data set ({error})"
        raise TablesError(msg) from error
    return {item_id: title for item_id, title in zip(bundle.vocabulary, bundle.titles, strict=True) if title}

"""The titles of items, for people who read lists: from a model's bundle or a prepared data set."""

import json
from collections.abc import Mapping
from pathlib import Path

from job.tables.errors import TablesError

Titles = Mapping[str, str]

_ITEMS = "items.jsonl"


def read_titles(folder: Path) -> Titles:
    """Read the titles by item id from a data set's `items.jsonl`, or else from a bundle.

    Raises:
        TablesError: the folder is neither, or its files cannot be read.
    """
    if (folder / _ITEMS).exists():
        return _from_data_set(folder / _ITEMS)
    return _from_bundle(folder)


def _from_bundle(folder: Path) -> Titles:
    from model.bundles.bundle import Bundle, BundleError  # the `recloop` command starts without it

    try:
        bundle = Bundle.load(folder)
    except BundleError as error:
        msg = f"no titles in {folder}: give a model's bundle or a prepared data set ({error})"
        raise TablesError(msg) from error
    return {item_id: title for item_id, title in zip(bundle.vocabulary, bundle.titles, strict=True) if title}


def _from_data_set(path: Path) -> Titles:
    try:
        with path.open("rb") as lines:
            rows = map(json.loads, lines)
            return {row["item_id"]: row["title"] for row in rows if row.get("title")}
    except (OSError, ValueError, KeyError) as error:
        msg = f"no titles in {path}: prepare the data set again ({error})"
        raise TablesError(msg) from error

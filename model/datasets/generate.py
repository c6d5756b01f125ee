"""Synthetic behaviour of any size: Zipf popularity and latent tastes, so that a model can learn from it.

Every item belongs to one taste and every user leans to two of them. Rows are drawn and written in
chunks; memory grows with users and items, never with behaviours. Equal settings give equal bytes.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.datasets.prepared import DATASET, Dataset, DatasetInfo, write_behaviors, write_catalogue, write_info
from model.datasets.reading import Item
from model.folders import whole_folder

CHUNK_ROWS = 200_000
START_MS = 1_704_067_200_000  # 2024-01-01 UTC
MOST_DAYS = 2_000_000  # so that the data end before the year 9999
_ACTION_MIX = {"view": 0.5, "click": 0.33, "favorite": 0.07, "cart": 0.06, "buy": 0.03, "dislike": 0.01}
_FIRST_TASTE_SHARE = 0.6
_SECOND_TASTE_SHARE = 0.3
_ACTIVITY_SIGMA = 1.0  # of the log-normal number of behaviours per user

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Synthetic:
    """The size and shape of a synthetic data set.

    Attributes:
        users: how many users there are.
        items: how many items there are.
        behaviors: how many rows are written.
        zipf: exponent of the items' popularity; 0 makes all equally popular.
        tastes: latent groups of items.
        days: event time the rows span.
        seed: of everything random.
    """

    users: int = 10_000
    items: int = 5_000
    behaviors: int = 1_000_000
    zipf: float = 1.0
    tastes: int = 20
    days: float = 30.0
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.users, self.items, self.behaviors, self.tastes) < 1 or self.tastes > self.items:
            msg = "users, items, behaviors and tastes are 1 or more, and tastes no more than items"
            raise ValueError(msg)
        if not (0 <= self.zipf < math.inf and 0 < self.days <= MOST_DAYS):
            msg = f"zipf is 0 or more, and days above 0 and at most {MOST_DAYS:,}"
            raise ValueError(msg)
        if self.seed < 0:
            msg = "seed is 0 or more"
            raise ValueError(msg)


class _World:
    """The items' popularity and the users' tastes from which rows are drawn."""

    def __init__(self, shape: Synthetic) -> None:
        """Draw the world; memory is O(users + items)."""
        self.shape = shape
        self.random = np.random.default_rng(shape.seed)
        taste = np.sort(np.arange(shape.items) % shape.tastes)
        rank = self.random.permutation(shape.items) + 1.0
        self.item_taste: Ints = taste
        self._mass = np.concatenate([[0.0], np.cumsum(rank**-shape.zipf)])
        self._taste_start = np.searchsorted(taste, np.arange(shape.tastes + 1))
        self._user_tastes = self.random.integers(0, shape.tastes, (shape.users, 2), dtype=np.int32)
        self._activity = np.cumsum(self.random.lognormal(0.0, _ACTIVITY_SIGMA, shape.users))

    def draw_users(self, rows: int) -> Ints:
        """Draw user numbers (rows,); some users are more active than others."""
        at = self.random.random(rows) * self._activity[-1]
        users: Ints = np.minimum(np.searchsorted(self._activity, at, side="right"), self.shape.users - 1)
        return users

    def draw_items(self, users: Ints, off_taste: npt.NDArray[np.bool_]) -> Ints:
        """Draw item numbers (rows,) by each user's tastes; from all items where `off_taste`."""
        lean = self.random.random(len(users))
        second = (lean >= _FIRST_TASTE_SHARE).astype(np.int64)
        taste = self._user_tastes[users, second]
        anywhere = off_taste | (lean >= _FIRST_TASTE_SHARE + _SECOND_TASTE_SHARE)
        low = np.where(anywhere, 0.0, self._mass[self._taste_start[taste]])
        high = np.where(anywhere, self._mass[-1], self._mass[self._taste_start[taste + 1]])
        at = low + self.random.random(len(users)) * (high - low)
        items: Ints = np.clip(np.searchsorted(self._mass, at, side="right") - 1, 0, self.shape.items - 1)
        return items


def generate(shape: Synthetic, out: Path, name: str, progress: Callable[[int], None] = lambda _: None) -> Dataset:
    """Write a synthetic data set, prepared, into the folder `out`.

    Args:
        shape: its size and shape.
        out: the folder; replaced if it exists.
        name: of the data set.
        progress: called with the number of rows written so far.
    """
    world = _World(shape)
    writer = _Writer(world, progress)
    with whole_folder(out, DATASET) as folder:
        fingerprint = write_behaviors(folder, writer.blocks())
        tastes = enumerate(world.item_taste.tolist())
        write_catalogue(folder, (Item(f"i{number}", f"Item {number}", f"taste {taste}") for number, taste in tastes))
        write_info(folder, writer.info(name, fingerprint))
    return Dataset.open(out)


class _Writer:
    """Rows drawn chunk by chunk, and the figures that the summary needs."""

    def __init__(self, world: _World, progress: Callable[[int], None]) -> None:
        self._world = world
        self._progress = progress
        self._seen = np.zeros(world.shape.users, dtype=np.bool_)
        self._first = self._last = START_MS
        self._names = np.array(list(_ACTION_MIX))
        self._action_mass = np.cumsum(list(_ACTION_MIX.values()))

    def blocks(self) -> Iterator[bytes]:
        """Yield chunks of whole lines, oldest first."""
        total = self._world.shape.behaviors
        for done in range(0, total, CHUNK_ROWS):
            rows = min(CHUNK_ROWS, total - done)
            yield self._block(rows, is_first=done == 0)
            self._progress(done + rows)

    def info(self, name: str, fingerprint: str) -> DatasetInfo:
        """Return the summary of the rows written."""
        shape = self._world.shape
        return DatasetInfo(
            name=name,
            behaviors=shape.behaviors,
            users=int(self._seen.sum()),
            items=shape.items,
            first_timestamp=self._first,
            last_timestamp=self._last,
            fingerprint=fingerprint,
            actions="",
            source={"kind": "synthetic", **{key: str(value) for key, value in asdict(shape).items()}},
            skipped={},
        )

    def _block(self, rows: int, *, is_first: bool) -> bytes:
        users = self._world.draw_users(rows)
        at = self._world.random.random(rows)
        actions = self._names[np.minimum(np.searchsorted(self._action_mass, at), len(self._names) - 1)]
        items = self._world.draw_items(users, actions == "dislike")
        times = self._times(rows)
        self._seen[users] = True
        if is_first:
            self._first = int(times[0])
        columns = zip(users.tolist(), actions.tolist(), items.tolist(), times.tolist(), strict=True)
        return "".join(
            [f'{{"user_id":"u{u}","action":"{a}","item_id":"i{i}","timestamp":{t}}}\n' for u, a, i, t in columns]
        ).encode()

    def _times(self, rows: int) -> Ints:
        shape = self._world.shape
        mean_gap_ms = shape.days * 86_400_000 / shape.behaviors
        gaps = self._world.random.exponential(mean_gap_ms, rows)
        times = self._last + np.cumsum(gaps).astype(np.int64)
        self._last = int(times[-1])
        return times

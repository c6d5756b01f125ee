"""The Open Bandit data (Saito, Aihara, Matsutani and Narita 2020): clicks in a shop, under two known policies.

Each policy showed three of 80 items at a time: `random` any three, `bts` those of Bernoulli Thompson sampling. Of each
the package obp has 10,000 impressions of the campaign "all".
"""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from model.datasets.errors import SourceError
from model.datasets.interactions import Ints

ITEMS, POSITIONS = 80, 3
_AT_ONCE = 1_000
_CAMPAIGN = "all"


@dataclass(frozen=True, slots=True)
class BanditLog:
    """The impressions of one policy; all (N,).

    Attributes:
        item: 0 to 79.
        position: 0 to 2.
        click: 0 or 1.
        propensity: the policy's probability of the item at the position.
    """

    item: Ints
    position: Ints
    click: npt.NDArray[np.float64]
    propensity: npt.NDArray[np.float64]


def read_log(file: Path) -> BanditLog:
    """Read the impressions of one policy.

    Raises:
        SourceError: the file has other columns.
    """
    with file.open(newline="") as lines:
        rows = csv.DictReader(lines)
        try:
            cells = [
                (int(row["item_id"]), int(row["position"]) - 1, float(row["click"]), float(row["propensity_score"]))
                for row in rows
            ]
        except (KeyError, TypeError, ValueError) as error:
            msg = f"{file} is no log of the Open Bandit data ({error}): delete its folder and run again"
            raise SourceError(msg) from error
    item, position, click, propensity = (np.array(column) for column in zip(*cells, strict=True))
    return BanditLog(item, position, click, propensity)


def read_prior(file: Path) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return alpha and beta of each item under the sampling policy. (80,) each.

    Raises:
        SourceError: the file is of another form.
    """
    found: dict[tuple[str, str], list[float]] = {}
    campaign = name = ""
    for line in file.read_text().splitlines():
        text = line.strip()
        if text.startswith("- "):
            found.setdefault((campaign, name), []).append(float(text.removeprefix("- ")))
        elif line.startswith(" "):
            name = text.removesuffix(":")
        else:
            campaign = text.removesuffix(":")
    alpha, beta = (np.array(found.get((_CAMPAIGN, each), ())) for each in ("alpha", "beta"))
    if len(alpha) != ITEMS or len(beta) != ITEMS:
        msg = (
            f"{file} has no {ITEMS} values of alpha and beta for the campaign {_CAMPAIGN}: delete its folder, run again"
        )
        raise SourceError(msg)
    return alpha, beta


def thompson_sampling(
    alpha: npt.NDArray[np.float64], beta: npt.NDArray[np.float64], *, draws: int = 100_000, seed: int = 12_345
) -> npt.NDArray[np.float64]:
    """Return the sampling policy's probability of each item at each position, by simulation. (80, 3).

    With the defaults it draws the numbers that obp draws in its documentation.
    """
    random = np.random.RandomState(seed)  # the generator of obp
    shown = np.zeros((len(alpha), POSITIONS))
    for start in range(0, draws, _AT_ONCE):
        size = min(_AT_ONCE, draws - start)
        ranked = random.beta(alpha, beta, size=(size, len(alpha))).argsort(1)[:, ::-1]
        for position in range(POSITIONS):
            shown[:, position] += np.bincount(ranked[:, position], minlength=len(alpha))
    return shown / draws

"""Off-policy evaluation of a job's explored lists, and of the Open Bandit data, where the answers are known."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from model.actions import ActionTable, history_actions
from model.datasets.download import fetch_open_bandit
from model.datasets.open_bandit import ITEMS, POSITIONS, BanditLog, read_log, read_prior, thompson_sampling
from model.errors import RecloopError
from model.evaluation.off_policy import Estimates, Logged, cross_fitted, estimate
from udfs.hashing import stable_hash
from udfs.lists.entries import ReasonCode, reason_text

_STRENGTH = 100.0
"""Rewards by which a mean is drawn to the mean of all: clicks are rare."""
_EXPLORED = reason_text(ReasonCode.EXPLORE)
_TRIALS = """
SELECT acted.user_id, acted.item_id, list.items, list.reasons, list.propensities FROM (
  SELECT user_id, user_seq, item_id FROM user_behavior
  WHERE outcome = 'applied' AND action IN (SELECT unnest(CAST(? AS VARCHAR[])))
) AS acted
ASOF JOIN (
  SELECT * FROM recommendation_lists
  QUALIFY row_number() OVER (PARTITION BY user_id, user_seq ORDER BY list_version DESC) = 1
) AS list
ON acted.user_id = list.user_id AND acted.user_seq > list.user_seq
WHERE list.propensities IS NOT NULL AND list.source = 'scored' ORDER BY ALL
"""


class NothingExploredError(RecloopError):
    """No list with explored places was followed by a behaviour."""


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """The mean reward of one policy.

    Attributes:
        log: the policy under which the rewards were logged.
        policy: the policy that is estimated.
        rewards: number of rewards.
        estimates: the estimates.
        known: the mean reward that the policy had itself; None where it was never used.
    """

    log: str
    policy: str
    rewards: int
    estimates: Estimates
    known: float | None = None


def of_open_bandit(cache: Path) -> list[PolicyValue]:
    """Estimate each of the two policies from the other one's log.

    Raises:
        DownloadError: the data cannot be fetched.
        SourceError: they are damaged.
    """
    folder = fetch_open_bandit(cache)
    logs = {name: read_log(folder / f"{name}.csv") for name in ("random", "bts")}
    sampling = thompson_sampling(*read_prior(folder / "prior_bts.yaml"))
    policies = {"random": np.full((ITEMS, POSITIONS), 1.0 / ITEMS), "bts": sampling}
    pairs = (("random", "bts"), ("bts", "random"), ("random", "random"), ("bts", "bts"))
    return [
        PolicyValue(
            log, policy, len(logs[log].click), _estimated(logs[log], policies[policy]), logs[policy].click.mean()
        )
        for log, policy in pairs
    ]


def _estimated(log: BanditLog, policy: npt.NDArray[np.float64]) -> Estimates:
    number = np.arange(len(log.item))
    fold = number % 2
    mean = cross_fitted(log.item, log.click, fold, _STRENGTH)  # (2, items)
    under_policy = mean @ policy  # (2, positions)
    return estimate(
        Logged(
            reward=log.click,
            weight=policy[log.item, log.position] / log.propensity,
            expected=mean[fold, log.item],
            expected_target=under_policy[fold, log.position],
            cluster=number,
        )
    )


def of_lists(tables: Path, actions: ActionTable) -> list[PolicyValue]:
    """Estimate what the job's lists would have got without exploring.

    Every behaviour that enters histories is a trial of the list that its user had, as in `recloop ab report`. Each
    place of that list is a reward, 1 where it held the item.

    Raises:
        NothingExploredError: there is no trial of an explored list.
        TablesError: the tables cannot be read.
    """
    from job.tables import duck  # the `recloop` command starts without it

    with duck.connect(tables) as connection:
        rows: Any = duck.run(connection, _TRIALS, [sorted(history_actions(actions))]).rows
    if not rows:
        msg = (
            f"{tables} has no list with explored places that a behaviour followed: deploy with lists.explore_share "
            "above 0, and let users act"
        )
        raise NothingExploredError(msg)
    shown = _shown(rows)
    own = np.where(shown.explored, 0.0, 1.0 / shown.propensity)
    asked = (("as it was", np.ones_like(own), shown.kind), ("without exploring", own, shown.kind - shown.explored))
    mean = cross_fitted(shown.kind, shown.reward, shown.fold, _STRENGTH)
    return [
        PolicyValue(
            "lists",
            policy,
            len(shown.reward),
            estimate(Logged(shown.reward, weight, mean[shown.fold, shown.kind], mean[shown.fold, instead], shown.user)),
            float(shown.reward.mean()) if policy == "as it was" else None,
        )
        for policy, weight, instead in asked
    ]


@dataclass(frozen=True, slots=True)
class _Shown:
    """The places of all trials' lists; all (N,). A kind is twice the place, and 1 more where it was explored."""

    reward: npt.NDArray[np.float64]
    propensity: npt.NDArray[np.float64]
    explored: npt.NDArray[np.bool_]
    kind: npt.NDArray[np.int64]
    user: npt.NDArray[np.int64]
    fold: npt.NDArray[np.int64]


def _shown(rows: Sequence[tuple[str, str, list[str], list[str], list[float]]]) -> _Shown:
    cells = [
        (item == acted, propensity, reason == _EXPLORED, place, stable_hash(user))
        for user, acted, items, reasons, propensities in rows
        for place, (item, reason, propensity) in enumerate(zip(items, reasons, propensities, strict=True))
    ]
    reward, propensity, explored, place, user = (np.array(column) for column in zip(*cells, strict=True))
    kind = 2 * place.astype(np.int64) + explored
    return _Shown(
        reward.astype(np.float64), propensity, explored, kind, user.astype(np.int64), user.astype(np.int64) % 2
    )

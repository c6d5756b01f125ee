"""The way back from a deployment that runs: the one before it, on the state that this had left.

The state is the one that the running deployment went on from, so it is of a layout that the earlier code reads. What
the running one has written since is void for readers (`job/tables/lineage.py`), and is made again from the log.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from job.deployment.history import DeploymentHistory, Submitted
from job.deployment.restore_point import exists
from job.deployment.submission import DeployError
from job.settings.planned_job import PlannedJob


@dataclass(frozen=True, slots=True)
class WayBack:
    """The deployment to go back to.

    Attributes:
        deployment: its record.
        state: URI of the state that it left.
    """

    deployment: Submitted
    state: str


def way_back(history: DeploymentHistory, *, is_local: bool) -> WayBack:
    """Return the deployment before the one that counts; after a rollback, the one before that.

    Args:
        history: the job's deployments.
        is_local: whether the cluster's files are this machine's.

    Raises:
        DeployError: there is none, or its files or its state are gone.
    """
    found = last_before(history)
    if found is None:
        msg = (
            f"{history.file} records no deployment before the one that counts, which began with empty state: there is "
            "nothing to go back to"
        )
        raise DeployError(msg)
    before = found.deployment
    if not before.shipped.is_there:
        msg = (
            f"code and settings of deployment {before.number} are gone (those of the newest ones are kept): recloop "
            f"deploy --from {found.state}, with a checkout of that code"
        )
        raise DeployError(msg)
    if exists(found.state, is_local=is_local) is False:
        msg = (
            f"the state that deployment {before.number} left, {found.state}, is gone: recloop deploy, with a checkout "
            "of that code, goes on from the newest state, if that code reads it"
        )
        raise DeployError(msg)
    return found


def last_before(history: DeploymentHistory) -> WayBack | None:
    """Return the deployment before the one that counts, whether its files and state are there or not; None without."""
    newest = history.newest
    counts = None if newest is None else history.of_number(newest.original)
    if counts is None or counts.began_from is None:
        return None
    before = history.of_state(counts.began_from)
    return None if before is None else WayBack(before, counts.began_from)


def check_bundles(earlier: Submitted, hashes: Mapping[str, str]) -> None:
    """Make sure that an earlier deployment finds the models that it had.

    Args:
        earlier: the deployment.
        hashes: variant -> the hash of its bundle as it is now.

    Raises:
        DeployError: a bundle's folder holds another one by now.
        SettingsError: the deployment's file cannot be read.
    """
    then = PlannedJob.of_file(earlier.shipped.settings).plan.bundle_hashes
    if changed := sorted(variant for variant, bundle in then.items() if hashes.get(variant) != bundle):
        msg = (
            f"deployment {earlier.number} had another model as {', '.join(changed)} than its folder holds now: put "
            "that bundle back there, or deploy with a bundle of your choice"
        )
        raise DeployError(msg)

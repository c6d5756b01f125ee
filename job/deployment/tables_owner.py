"""The owner of a tables folder: a hidden file in it lists the jobs that were deployed onto it, the newest last.

So two jobs never write into one folder, and a deployment's number is never reused, even if all records beside the
cluster are gone. Readers of tables skip hidden files.
"""

import platform
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from job.cluster import FlinkRest, NotFoundError, RestError, UnreachableError
from job.deployment.append_log import append, fault_of, read
from job.deployment.submission import DeployError

FILE = ".deployments.jsonl"
LOCK = ".deployments.lock"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_DEPLOYED, _WITHDRAWN = "deployed", "withdrawn"


@dataclass(frozen=True, slots=True)
class Claim:
    """A deployment over the tables.

    Attributes:
        number: the deployment's number.
        generation: the deployment's generation.
        job_name: the job's name.
        job_id: Flink's id.
        url: the cluster's REST interface.
        cluster: the lasting name of the cluster: the folder of a local one, else the address.
        host: the machine that it was deployed from.
    """

    number: int
    generation: int
    job_name: str
    job_id: str
    url: str
    cluster: str
    host: str = platform.node()


def claims(tables: Path) -> list[Claim]:
    """Return the deployments over the folder, oldest first, without those that were withdrawn.

    Raises:
        DeployError: the file is broken.
    """
    found: dict[str, Claim] = {}
    for step, each in _lines(tables):
        if step == _DEPLOYED:
            found[each.job_id] = each
        else:
            found.pop(each.job_id, None)
    return list(found.values())


def highest(tables: Path) -> tuple[int, int]:
    """Return the highest number and generation ever given over the folder, (0, 0) if there is none.

    Raises:
        DeployError: the file is broken.
    """
    every = [each for _, each in _lines(tables)]
    return max((each.number for each in every), default=0), max((each.generation for each in every), default=0)


def claim(tables: Path, by: Claim) -> None:
    """Record that a job is about to be deployed over the folder."""
    append(tables / FILE, {"at": _now(), "step": _DEPLOYED, **asdict(by)})


def withdraw(tables: Path, by: Claim) -> None:
    """Record that a deployment was given up: it never completed a checkpoint."""
    append(tables / FILE, {"at": _now(), "step": _WITHDRAWN, **asdict(by)})


def check_free(tables: Path, mine: Claim, *, take_over: bool) -> None:
    """Make sure that no other job writes into the folder.

    Args:
        tables: the folder.
        mine: the deployment about to be made.
        take_over: whether a cluster that does not answer is assumed to be gone.

    Raises:
        DeployError: a job of another name, or on another cluster, still runs, or may still run.
    """
    # The older deployments of a job on a cluster were ended for its newest.
    newest = {(each.job_name, each.cluster): each for each in claims(tables)}
    for theirs in newest.values():
        if (theirs.job_name, theirs.cluster) == (mine.job_name, mine.cluster):
            continue
        url = mine.url if theirs.cluster == mine.cluster else theirs.url
        whose = f"job {theirs.job_name} ({theirs.job_id}) on {url}"
        try:
            with FlinkRest(url) as rest:
                runs = not rest.job(theirs.job_id).is_over
        except NotFoundError:
            runs = False
        except RestError as error:
            if take_over or _is_gone(error, theirs):
                continue
            msg = f"{tables} is written by {whose}, which does not answer: if it is gone for good, add --take-over"
            raise DeployError(msg) from error
        if runs:
            msg = f"{tables} is written by {whose}, which still runs: end it, or give another tables.folder"
            raise DeployError(msg)


def _lines(tables: Path) -> list[tuple[str, Claim]]:
    """Return each line's step and claim."""
    names = Claim.__dataclass_fields__
    try:
        return [
            (each["step"], msgspec.convert({name: each[name] for name in names}, Claim)) for each in read(tables / FILE)
        ]
    except (KeyError, msgspec.ValidationError) as error:
        msg = f"{tables / FILE} is no record of deployments ({fault_of(error)}): mend it, or move it away"
        raise DeployError(msg) from error


def _is_gone(error: RestError, theirs: Claim) -> bool:
    """Return whether the claim's cluster was on this machine and nothing listens there any more.

    Then the cluster was stopped, and its jobs with it.
    """
    if not isinstance(error, UnreachableError) or theirs.host != platform.node():
        return False
    return urlsplit(theirs.url).hostname in _LOOPBACK and "refused" in str(error).lower()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")

"""The checks before anything is ended; each raises an error whose one sentence says what to do."""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence

import msgspec

from job.cluster import FlinkRest
from job.cluster.causes import cause
from job.cluster.gpus import adaptive
from job.cluster.records import JobDetail
from job.cluster.uris import as_uri
from job.deployment.cluster_checks import check_cluster
from job.deployment.comparison import place_in_log
from job.deployment.history import Shipped
from job.deployment.restore_point import exists
from job.deployment.submission import DeployError, Target
from job.settings.job_settings import JobSettings
from model.waiting import polls

_ClusterCheck = Callable[[FlinkRest, JobSettings], None]
CLUSTER_CHECKS: tuple[_ClusterCheck, ...] = (check_cluster,)
"""The checks of every cluster before a deployment touches it; each raises a ClusterError."""

_UID = re.compile(r"[a-z]+(?:-[a-z]+)+")
_WITH_STATE = frozenset({"poll-log", "track-users", "find-trends", "update-lists", "measure-feedback"})
_AT_WORK = ("DEPLOYING", "INITIALIZING", "RUNNING", "CANCELING")
"""The states of tasks that hold a slot."""
_TABLE = "write-"
"""The prefix of the operators that write tables; Flink keeps in their state what is not committed yet."""
_SLOTS_S = 20.0
"""The time in which a TaskManager that was just killed is back."""
_TRIAL_S = 300.0
_POLL_S = 0.5


class _Declared(msgspec.Struct, frozen=True):
    """The last line that `job/main.py --check` prints."""

    operators: list[str]


def check_given_state(given: str, *, is_local: bool) -> str:
    """Return the URI of the state that --from names.

    Raises:
        DeployError: there is no such state.
    """
    uri = as_uri(given)
    if exists(uri, is_local=is_local) is False:
        msg = f"--from {given}: there is no savepoint or checkpoint, whose folder holds a file _metadata"
        raise DeployError(msg)
    return uri


def check_application(settings: JobSettings) -> None:
    """Refuse settings for which an application's own TaskManagers do not do.

    Raises:
        DeployError: scoring is to be kept apart.
    """
    if settings.placement.scoring != "shared":
        msg = (
            f"placement.scoring={settings.placement.scoring} needs TaskManagers of two kinds, and an application "
            "starts one kind: deploy to a session cluster: recloop cluster start --gpu DEVICE"
        )
        raise DeployError(msg)


def check_slots(rest: FlinkRest, settings: JobSettings, replaced: Sequence[JobDetail]) -> None:
    """Make sure that the cluster has enough slots, those of the jobs to be replaced included.

    A cluster that fits jobs to its slots, or that starts TaskManagers on demand, is not checked; nor is one where
    scoring has slots of its own, which `slots.requested_slots` counts.

    Raises:
        DeployError: there are too few.
    """
    configuration = rest.configuration()
    starts_them = any(key.startswith(("kubernetes.", "yarn.")) for key in configuration)
    if settings.placement.scoring != "shared" or starts_them or adaptive(configuration):
        return
    for _ in polls(timeout_s=_SLOTS_S, poll_s=_POLL_S):
        # Read again each time: a job that fails again and again gives its slots up, and takes them.
        freed = sum(_slots_of(rest.job(job.job_id)) for job in replaced)
        overview = rest.overview()
        there = min(overview.slots_total, overview.slots_available + freed)
        if there >= settings.slots:
            return
    msg = (
        f"the job needs {settings.slots} slots (flink.parallelism, scoring.parallelism), "
        f"{there} {'is' if there == 1 else 'are'} there: recloop cluster start -n {settings.slots}, or more "
        "TaskManagers on a cluster of yours"
    )
    raise DeployError(msg)


def _slots_of(job: JobDetail) -> int:
    """Return the number of slots that a job's tasks are at work in: a slot holds one subtask of each operator."""
    at_work = (sum(vertex.tasks.get(state, 0) for state in _AT_WORK) for vertex in job.vertices)
    return max(at_work, default=0)


def check_goes_on(settings: JobSettings, before: JobSettings | None, replaced: Sequence[JobDetail]) -> None:
    """Make sure that the job can read the state of the deployment it goes on from.

    Raises:
        DeployError: the state has other buckets, or is of another log; that needs --fresh.
    """
    buckets = {vertex.max_parallelism for job in replaced[:1] for vertex in job.vertices}
    if before is not None:
        buckets = {before.flink.buckets}
    if buckets and settings.flink.buckets not in buckets:
        was = ", ".join(map(str, sorted(buckets)))
        msg = (
            f"flink.buckets is {settings.flink.buckets}, and the job's state has {was}, fixed at the first deployment: "
            f"give flink.buckets={was}, or --fresh to begin anew"
        )
        raise DeployError(msg)
    if before is not None and place_in_log(before) != place_in_log(settings):
        was, now = _source(before), _source(settings)
        msg = f"the job's state holds its place in {was}, which means nothing in {now}: give the old one, or --fresh"
        raise DeployError(msg)


def check_operators(declared: frozenset[str], replaced: Sequence[JobDetail]) -> tuple[str, ...]:
    """Make sure that each operator with state in the running job is in the new job too, by its uid, and return those.

    A uid is also the operator's name, and Flink builds the names of vertices from these.

    Raises:
        DeployError: there is state that no operator would take over.
    """
    names = (name for job in replaced[:1] for vertex in job.vertices for name in _UID.findall(vertex.name))
    stateful = {name for name in names if name in _WITH_STATE or name.startswith(_TABLE)}
    if missing := sorted(stateful - declared):
        msg = (
            f"the running job keeps state in {', '.join(missing)}, which the new code or settings do not have: deploy "
            "code and settings that have it, or begin anew with --fresh"
        )
        raise DeployError(msg)
    return tuple(sorted(stateful))


def try_client(target: Target, shipped: Shipped) -> frozenset[str]:
    """Declare the job as Flink's client will, without submitting it, and return its operators' uids.

    Raises:
        DeployError: the declaration fails, the text then holds Python's or Flink's own reason; or it prints no
            operators.
    """
    command = [sys.executable, str(shipped.entry), "--settings", str(shipped.settings), "--check"]
    variables = {**target.environment, "PYTHONPATH": os.pathsep.join([str(shipped.archive)])}
    try:
        done = subprocess.run(
            command, env=variables, capture_output=True, text=True, timeout=_TRIAL_S, check=False, errors="replace"
        )
    except subprocess.TimeoutExpired as error:
        msg = f"declaring the job was not done in {_TRIAL_S:g} s: is this machine overloaded? Nothing was changed"
        raise DeployError(msg) from error
    if done.returncode:
        why = cause(f"{done.stdout}\n{done.stderr}")
        msg = f"the job cannot be declared with these settings: {why}. Nothing was changed"
        raise DeployError(msg)
    try:
        operators = msgspec.json.decode(done.stdout.splitlines()[-1].encode(), type=_Declared).operators
    except (IndexError, msgspec.DecodeError, RecursionError) as error:
        fault = error if done.stdout else "it printed nothing"
        msg = (
            f"{shipped.entry} declared the job, but did not print its operators last ({fault}): let nothing in the "
            "job's code print at its exit. Nothing was changed"
        )
        raise DeployError(msg) from error
    return frozenset(uid for name in operators for uid in _UID.findall(name))


def _source(settings: JobSettings) -> str:
    """Return a description of the log's settings that the state depends on; see `place_in_log`."""
    log = settings.log
    if log.kind == "files":
        return "the embedded log (log.kind=files)"
    return f"the topic {log.topic} (log.kind=kafka, log.topic) as read by kafka.connector={settings.kafka.connector}"

"""`recloop upgrade` and `recloop rollback`: another deployment in place of the job that runs, and the way back."""

import json
from dataclasses import asdict, replace
from typing import Annotated

import typer

from job.commands.deploying import CheckpointsFolder, JobName, Place, Wait
from job.commands.options import (
    DEFAULT_CLUSTER,
    AsJson,
    ClusterDirectory,
    JobManagerUrl,
    Overrides,
    SettingsFile,
    console,
    stop_on_errors,
)
from job.deployment.continuation import Continuation, continuation, read_offsets
from job.deployment.deploy import WAIT_S, deploy, deployed_settings, running_job
from job.deployment.history import DeploymentHistory
from job.deployment.rollback import way_back
from job.settings.job_settings import load
from job.settings.planned_job import PlannedJob

UPGRADE_EXAMPLES = """
Examples:

recloop upgrade: the code here, with the settings that the job runs with

recloop upgrade --parallelism 4

recloop upgrade --settings mine.toml
"""


def upgrade(
    settings_file: SettingsFile = None,
    overrides: Overrides = None,
    parallelism: Annotated[
        int | None, typer.Option(min=1, max=32_768, help="Subtasks of each operator: --set flink.parallelism=N.")
    ] = None,
    job_name: JobName = "recloop",
    directory: ClusterDirectory = DEFAULT_CLUSTER,
    jobmanager: JobManagerUrl = None,
    checkpoints: CheckpointsFolder = None,
    wait_s: Wait = WAIT_S,
    as_json: AsJson = False,
) -> None:
    """Replace the job that runs by the code here, on its state; without --settings it keeps the settings that it has.

    It is `recloop deploy` for a job that runs: a savepoint, the differences, and a check that every operator with state
    is in the new code with the same max parallelism. At the end it says from where in the log the job goes on. If the
    new job does not come up, the old one goes on; later there is `recloop rollback`.
    """
    with stop_on_errors(), console.status("reading the settings") as spinner:
        place = Place.of(directory, jobmanager, checkpoints)
        more = [] if parallelism is None else [f"flink.parallelism={parallelism}"]
        with place.target.rest() as rest:
            job_id = running_job(rest, job_name)
            deployed = None if settings_file else deployed_settings(place.target.folder, job_name)
            defaults = None if deployed is None else deployed.model_dump(mode="json")
            given = [*(overrides or ()), *more, f"job_name={json.dumps(job_name)}"]
            settings = load(settings_file, given, defaults=defaults)
            before = read_offsets(rest, job_id)
            done = deploy(place.request(settings, spinner, wait_s))
            place.keep_up(settings)
            spinner.update("waiting for the new job's places in the log")
            went_on = continuation(rest, done.job_id, before)
    place.report(done, as_json=as_json, log=asdict(went_on))
    if not as_json:
        console.print(_text(went_on))


def rollback(
    job_name: JobName = "recloop",
    directory: ClusterDirectory = DEFAULT_CLUSTER,
    jobmanager: JobManagerUrl = None,
    checkpoints: CheckpointsFolder = None,
    wait_s: Wait = WAIT_S,
    as_json: AsJson = False,
) -> None:
    """Go back to the deployment before: its code and settings, on the state that it had left; each call goes one back.

    What the running deployment wrote since is void: the tables' views leave it out, and it is made again from the log.
    That one is stopped with a savepoint too, so `recloop deploy` with its code and --from that savepoint undoes this.
    """
    with stop_on_errors(), console.status("reading the record of deployments") as spinner:
        place = Place.of(directory, jobmanager, checkpoints)
        back = way_back(DeploymentHistory(place.target.folder, job_name), is_local=place.target.is_local)
        settings = PlannedJob.of_file(back.deployment.shipped.settings).settings
        request = place.request(settings, spinner, wait_s)
        done = deploy(replace(request, start_from=back.state, earlier=back.deployment))
        place.keep_up(settings)
    place.report(done, as_json=as_json, deployment=back.deployment.number)
    if not as_json:
        console.print(f"code and settings are those of deployment {back.deployment.number}")


def _text(went_on: Continuation) -> str:
    return (
        f"the log goes on at record {went_on.after:,} of {went_on.partitions} partitions; before the stop it was at "
        f"{went_on.before:,}"
    )

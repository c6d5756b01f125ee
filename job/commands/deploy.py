"""`recloop deploy`: the deployment of the job to a cluster."""

from dataclasses import replace
from typing import Annotated

import typer

from job.commands.deploying import CheckpointsFolder, Wait
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
from job.commands.targets import (
    FlinkSettings,
    Ha,
    Jars,
    TargetName,
    TargetOption,
    application,
    check_options,
    running,
)
from job.deployment.deploy import WAIT_S
from job.deployment.deploy import deploy as deploy_job
from job.settings.job_settings import load

EPILOG = """
The bundle comes from scoring.bundle: recloop deploy --set scoring.bundle=.recloop/models/ml-100k

Or it is a registry's current version, whenever that moves: recloop deploy --set models.url=.recloop/registry --set
models.name=ml-100k

A cluster for this job alone: recloop deploy --target application --set scoring.bundle=...

From a Kafka topic: recloop deploy --set log.kind=kafka --set kafka.brokers=HOST:9092 --set log.topic=behaviors ...
"""


def deploy(
    settings_file: SettingsFile = None,
    overrides: Overrides = None,
    target: TargetOption = None,
    directory: ClusterDirectory = DEFAULT_CLUSTER,
    jobmanager: JobManagerUrl = None,
    checkpoints: CheckpointsFolder = None,
    flink: FlinkSettings = None,
    jar: Jars = None,
    ha: Ha = None,
    fresh: Annotated[bool, typer.Option(help="Begin anew: empty state, from where log.start says.")] = False,
    start_from: Annotated[
        str | None, typer.Option("--from", metavar="URI", help="A savepoint or checkpoint to go on from.")
    ] = None,
    wait_s: Wait = WAIT_S,
    take_over: Annotated[
        bool, typer.Option(help="Take the tables folder also from a job whose cluster does not answer.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Deploy the job to a cluster; one of the same name is stopped, and the new one goes on from its state.

    Everything that can be checked is checked while the old job runs, and the differences are printed; if the new one
    does not come up, the old one goes on. On a cluster of `recloop cluster start` a compactor keeps the tables in few
    files from then on, and the job is submitted again if its JobManager dies.
    """
    alone = TargetName.APPLICATION
    own = {(alone, "--flink"): flink, (alone, "--jar"): jar, (alone, "--ha"): ha}
    check_options(target, jobmanager, checkpoints, own)
    with stop_on_errors(), console.status("reading the settings") as spinner:
        settings = load(settings_file, overrides or ())
        if target is TargetName.APPLICATION:
            place = application(directory, flink, jar, ha)
        else:
            place = running(target, directory, jobmanager, checkpoints)
        request = place.request(settings, spinner, wait_s)
        done = deploy_job(replace(request, fresh=fresh, start_from=start_from, take_over=take_over))
        place.keep_up(settings)
    place.report(done, as_json=as_json)

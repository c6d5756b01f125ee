"""`recloop deploy` and `recloop config`: the deployment of the job to a cluster, and its settings."""

import json
import re
import shlex
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from job.commands.options import (
    DEFAULT_CLUSTER,
    LONGEST_S,
    AsJson,
    ClusterDirectory,
    Overrides,
    SettingsFile,
    console,
    running_cluster,
    stop_on_errors,
)
from job.commands.output import print_line
from job.deployment.compacting import keep_compacted
from job.deployment.deploy import REMOTE_DEPLOYMENTS, WAIT_S, DeployRequest, Target
from job.deployment.deploy import deploy as deploy_job
from job.deployment.keep_running import keep_running
from job.settings.job_settings import load
from job.settings.settings_table import settings_table

_WAIT_HELP = "Seconds for all tasks to run and the first checkpoint; then the old job."
EPILOG = """
The bundle comes from scoring.bundle: recloop deploy --set scoring.bundle=.recloop/models/ml-100k

Or it is a registry's current version, whenever that moves: recloop deploy --set models.url=.recloop/registry --set
models.name=ml-100k

From a Kafka topic: recloop deploy --set log.kind=kafka --set kafka.brokers=HOST:9092 --set log.topic=behaviors ...
"""

app = typer.Typer(help="The settings that `deploy` would use.", no_args_is_help=True)


def deploy(
    settings_file: SettingsFile = None,
    overrides: Overrides = None,
    directory: ClusterDirectory = DEFAULT_CLUSTER,
    jobmanager: Annotated[
        str | None, typer.Option(metavar="URL", help="A cluster elsewhere, as http://jobmanager:8081.")
    ] = None,
    checkpoints: Annotated[
        Path | None, typer.Option(help="That cluster's checkpoint folder, where this machine sees it.")
    ] = None,
    fresh: Annotated[bool, typer.Option(help="Begin anew: empty state, from where log.start says.")] = False,
    start_from: Annotated[
        str | None, typer.Option("--from", metavar="URI", help="A savepoint or checkpoint to go on from.")
    ] = None,
    wait_s: Annotated[float, typer.Option("--wait", min=1, max=LONGEST_S, help=_WAIT_HELP)] = WAIT_S,
    take_over: Annotated[
        bool, typer.Option(help="Take the tables folder also from a job whose cluster does not answer.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Deploy the job to a cluster; one of the same name is stopped, and the new one goes on from its state.

    Everything that can be checked is checked while the old job runs; if the new one does not come up, the old one
    goes on. On a cluster of `recloop cluster start` a compactor keeps the tables in few files from then on, and
    the job is submitted again if its JobManager dies.
    """
    with stop_on_errors(), console.status("reading the settings") as spinner:
        settings = load(settings_file, overrides or ())
        cluster = None if jobmanager else running_cluster(directory)
        target = Target.local(cluster) if cluster else Target.remote(str(jobmanager), REMOTE_DEPLOYMENTS, checkpoints)
        command = shlex.join(["recloop", *sys.argv[1:]])
        request = DeployRequest(
            target=target,
            settings=settings,
            fresh=fresh,
            start_from=start_from,
            wait_s=wait_s,
            take_over=take_over,
            retry=re.sub(r"://[^/\s]*@", "://", command),  # without user names and passwords in URLs
            on_progress=spinner.update,
        )
        done = deploy_job(request)
        if cluster is not None:
            keep_compacted(cluster, settings.tables.folder)
            keep_running(cluster, settings.job_name)
    if as_json:
        print_line(json.dumps(asdict(done), default=str))
        return
    state = f"went on from {done.restored_from}" if done.restored_from else "began with empty state"
    console.print(Text.assemble("Job ", (done.job_id, "bold"), f" runs; it {state}"))
    console.print(f"code {done.code}, settings {done.settings}, web page {target.rest_url}")


@app.command()
def show(settings_file: SettingsFile = None, overrides: Overrides = None) -> None:
    """Print all settings as JSON, as the job would get them."""
    with stop_on_errors():
        print_line(load(settings_file, overrides or ()).resolved().model_dump_json(indent=2))


@app.command()
def table() -> None:
    """Print each setting with its default, bounds and meaning, as a Markdown table."""
    print_line(settings_table())

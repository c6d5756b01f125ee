"""`recloop status`: the state, rate, freshness, lag and models of the job, once or live."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from job.cluster import FlinkRest
from job.commands.options import (
    DEFAULT_CLUSTER,
    AsJson,
    ClusterDirectory,
    console,
    fail,
    running_cluster,
    stop_on_errors,
)
from job.commands.output import print_line
from job.commands.status_output import show_live, status_table
from job.deployment.deploy import REMOTE_DEPLOYMENTS, deployed_settings
from job.deployment.status import find_job, read_status


def status(
    directory: ClusterDirectory = DEFAULT_CLUSTER,
    jobmanager: Annotated[str | None, typer.Option(metavar="URL", help="A cluster elsewhere.")] = None,
    job_name: Annotated[str, typer.Option(help="The job's name.")] = "recloop",
    watch: Annotated[
        bool, typer.Option("--watch", help="Go on until Ctrl-C; a line every 2 s where the output is no terminal.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show the job's state, rate, freshness, last checkpoint, restarts, models, and lag behind its log.

    A scorer reports its models with its next behaviour, so for an idle job the models that it served last are shown.
    """
    if watch and as_json:
        msg = "--watch and --json exclude each other: poll recloop status --json instead"
        raise typer.BadParameter(msg)
    with stop_on_errors():
        url = jobmanager or running_cluster(directory).rest_url
        deployments = REMOTE_DEPLOYMENTS if jobmanager else directory / "deployments"
        with FlinkRest(url) as rest:
            job = find_job(rest, job_name)
            if job is None:
                fail(f"no job named {job_name} on {url}: recloop deploy")
            deployed = deployed_settings(deployments, job_name)
            native = deployed is not None and deployed.reads_natively
            if watch:
                show_live(rest, job.job_id, deployed, native=native)
                return
            with console.status("measuring for 2 s"):
                found = read_status(rest, job.job_id, deployed)
    if as_json:
        print_line(json.dumps({**asdict(found), "lag": found.lag}))
        return
    console.print(status_table(found, native=native))

"""`recloop serve`: an API for lists and behaviours, and a page to watch."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from job.commands.options import LONGEST_S, Overrides, SettingsFile, stop_on_errors, terminated_as_interrupted
from job.commands.output import print_line
from job.serving.errors import ServingError
from job.settings.job_settings import load

EXAMPLES = """
Examples:

recloop deploy --set scoring.bundle=.recloop/models/ml-100k --set publish.lists_folder=.recloop/lists

recloop serve --set scoring.bundle=.recloop/models/ml-100k --set publish.lists_folder=.recloop/lists

curl localhost:8080/users/7/recommendations
"""


def serve(
    settings_file: SettingsFile = None,
    overrides: Overrides = None,
    host: Annotated[
        str | None, typer.Option(help="Address to listen at; beyond loopback only with TLS and API keys. [127.0.0.1]")
    ] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port; 0 is a free one. [8080]")] = None,
    store: Annotated[Path | None, typer.Option(help="This process's own copy of all lists. [.recloop/serving]")] = None,
    bundle: Annotated[
        Path | None, typer.Option(help="Bundle or prepared data set with titles; scoring.bundle if not given.")
    ] = None,
    cluster: Annotated[
        Path | None, typer.Option("--dir", help="The cluster's state folder, for the page. [.recloop/cluster]")
    ] = None,
    keys_file: Annotated[
        Path | None, typer.Option(help="File with one API key a line; or set RECLOOP_SERVE_KEYS.")
    ] = None,
    tls_certificate: Annotated[Path | None, typer.Option(help="The server's certificate chain, PEM.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key, PEM.")] = None,
    host_names: Annotated[
        str | None, typer.Option(help="Names by which clients call the server, separated by commas.")
    ] = None,
    rate: Annotated[
        float | None, typer.Option(min=0.001, max=1_000_000, help="Requests a second of one client. [200]")
    ] = None,
    burst: Annotated[
        int | None, typer.Option(min=1, max=10_000_000, help="Requests of one client at once. [400]")
    ] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, max=LONGEST_S, help="End after so long.")] = None,
) -> None:
    """Answer with every user's newest list, moments after each behaviour, and take behaviours.

    Give the settings of the job: where behaviours come from and where lists are published. Ctrl-C ends it; the next
    start goes on from where it was. Every option can be a variable too, as RECLOOP_SERVE_PORT.
    """
    with stop_on_errors(), terminated_as_interrupted():
        run = _server()
        from job.serving.serve_settings import serve_settings

        job = load(settings_file, overrides or (), needs_model=False).resolved()
        settings = serve_settings(
            host=host,
            port=port,
            store=store,
            bundle=bundle,
            cluster=cluster,
            keys_file=keys_file,
            tls_certificate=tls_certificate,
            tls_key=tls_key,
            host_names=host_names,
            rate=rate,
            burst=burst,
        )
        run(job, settings, on_ready=print_line, seconds=seconds)


def _server() -> Callable[..., None]:
    """Return the function that serves, with the page; they are imported here, as other commands start without them."""
    try:
        from job.page.compose import page_of
        from job.serving.running import run
    except ModuleNotFoundError as error:
        msg = f"{error.name} is not installed: pip install 'recloop[serve]'"
        raise ServingError(msg) from error
    return partial(run, page=page_of)

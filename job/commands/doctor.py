"""`recloop doctor`: what is wrong with this machine, the settings and the cluster, before the job runs into it."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from job.commands.options import (
    DEFAULT_CLUSTER,
    AsJson,
    ClusterDirectory,
    Overrides,
    SettingsFile,
    console,
    stop_on_errors,
)
from job.commands.output import Screen, print_line
from job.settings.job_settings import load

EXAMPLES = """
This machine, and the settings that a deployment would use: recloop doctor --set scoring.bundle=.recloop/models/mine

A cluster too: recloop doctor --cluster, or recloop doctor --jobmanager http://jobmanager:8081
"""
_COLORS = {"ok": "green", "advice": "yellow", "fault": "red"}


def doctor(
    settings_file: SettingsFile = None,
    overrides: Overrides = None,
    directory: ClusterDirectory = DEFAULT_CLUSTER,
    with_cluster: Annotated[
        bool, typer.Option("--cluster", help="Examine the running cluster too; it runs no job for it.")
    ] = False,
    jobmanager: Annotated[
        str | None, typer.Option(metavar="URL", help="A cluster elsewhere, which is examined too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Examine the machine, the settings and the cluster; exit with 1 if the job would fail.

    Each line is ok, advice (it runs, but not well or not safely) or a fault, with what to do.
    """
    from job.doctor.examine import CLIENT_CHECKS, CLUSTER_CHECKS, Examined, examine  # torch takes seconds
    from job.doctor.finding import Setup, Verdict

    with stop_on_errors():
        settings = load(settings_file, overrides or (), needs_model=False).resolved()
    setup = Setup(settings, os.environ, directory, jobmanager)
    checks = {**CLIENT_CHECKS, **(CLUSTER_CHECKS if with_cluster or jobmanager else {})}
    found: list[Examined] = []
    with console.status("examining") as spinner:
        for each in examine(setup, checks):
            spinner.update(each.check)
            found.append(each)
    if as_json:
        print_line(json.dumps([{"check": each.check, **asdict(each.finding)} for each in found]))
    else:
        screen = Screen()
        for each in found:
            mend = f": {each.finding.mend}" if each.finding.mend else ""
            line = f"{each.finding.verdict:<7}{each.check:<14}{each.finding.text}{mend}"
            screen.print(line, style=_COLORS[each.finding.verdict], soft_wrap=True)
        screen.print(_summary([each.finding.verdict for each in found]))
    raise typer.Exit(1 if any(each.finding.verdict is Verdict.FAULT for each in found) else 0)


def _summary(verdicts: Sequence[str]) -> str:
    faults, advised = verdicts.count("fault"), verdicts.count("advice")
    return f"{faults} fault(s), {advised} piece(s) of advice, {len(verdicts) - faults - advised} ok"

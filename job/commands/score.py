"""`recloop score`: the items of all users at once, as JSON lines, without a cluster."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from job.commands.options import (
    DATA_DIR,
    MOST_THREADS,
    AsJson,
    DataFolder,
    Overrides,
    PreparedSet,
    SettingsFile,
    console,
    find_dataset,
)
from job.commands.output import Screen, print_json, warn
from job.offline.run import Order, Summary, score_users
from job.settings.job_settings import load
from job.settings.values import LONGEST_LIST
from model.bundles.bundle import read_manifest

_BUNDLE_HELP = "The bundle's folder; by default that of scoring.bundle."
_TOP = 10
_TOP_HELP = f"Items a user; by default scoring.candidates if the settings have it, else {_TOP}."
_OUT_HELP = "A folder of parts; with a suffix, as in lists.jsonl, one file. Replaced if it exists."


def score(
    dataset: PreparedSet,
    out: Annotated[Path, typer.Option(help=_OUT_HELP)],
    bundle: Annotated[Path | None, typer.Option(help=_BUNDLE_HELP)] = None,
    top: Annotated[int | None, typer.Option(min=1, max=LONGEST_LIST, help=_TOP_HELP)] = None,
    processes: Annotated[int, typer.Option(min=1, max=MOST_THREADS, help="That share the users; a CPU core each.")] = 1,
    settings_file: SettingsFile = None,
    overrides: Overrides = None,
    data_dir: DataFolder = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Score every user of a data set as the job would at its end: the same profiles, rules and model, no cluster.

    A line has user_id, items and scores, best first, model_version and model_hash. Items that a user owns, dislikes or
    has seen are left out according to the settings (lists.exclude_seen, profile.*, scoring.*, actions.*); trends,
    impressions and lists.max_per_group have no effect. The result does not depend on --processes. Whatever ended the
    command, the same one goes on.

    Examples:
      recloop score ml-100k --bundle .recloop/models/ml-100k --out lists.jsonl

      recloop score mine --bundle .recloop/models/mine --processes 8 --out scores --set lists.exclude_seen=false
    """
    started = time.perf_counter()
    given = list(overrides or ())
    if top is not None:
        if any(each.partition("=")[0].strip() == "scoring.candidates" for each in given):
            msg = "--top and --set scoring.candidates are the same: give one of them"
            raise typer.BadParameter(msg)
        given.append(f"scoring.candidates={top}")
    if bundle is not None:
        given.append(f"scoring.bundle={json.dumps(str(bundle))}")
    prepared = find_dataset(dataset, data_dir)
    settings = load(settings_file, given, defaults={"scoring": {"candidates": _TOP}}).resolved()
    wanted, scored_by = settings.scoring.candidates, settings.scoring.bundle
    items = None if scored_by is None else read_manifest(scored_by).items
    summary = _score(Order(prepared, settings, out.absolute(), processes))
    seconds = time.perf_counter() - started
    if items is not None and wanted > items:
        warn(f"there are {items:,} items, so no list has {wanted:,} (--top, scoring.candidates)")
    if as_json:
        print_json({"out": str(out), **asdict(summary), "seconds": round(seconds, 2)})
        return
    speed = f"after {seconds:.1f} s ({summary.users / seconds:,.0f} a second)"
    Screen().print(f"{summary.users:,} users of {summary.dataset} are in {out}, {speed}.", highlight=False)
    if unknown := summary.unknown_actions:
        remark = f"{unknown:,} behaviours have an action that is not in the table: they changed nothing."
        Screen().print(remark, highlight=False)


def _score(order: Order) -> Summary:
    """Score with a progress bar."""
    with console.bar(remaining=True, transient=True) as bar:
        task = bar.add_task("starting", total=None)
        try:
            return score_users(
                order, lambda phase, done, total: bar.update(task, description=phase, completed=done, total=total)
            )
        except KeyboardInterrupt:
            bar.stop()
            console.print("Stopped. The same command goes on from here.")
            raise typer.Exit(130) from None

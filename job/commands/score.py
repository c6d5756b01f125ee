"""`recloop score`: the items of all users at once, as JSON lines, without a cluster."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from job.commands.data import DATA_DIR, find_dataset
from job.commands.options import AsJson, Overrides, SettingsFile, console
from job.commands.output import Screen, print_json
from job.offline.run import Order, Summary, score_users
from job.settings.job_settings import load

BUNDLE_HELP = "The bundle's folder; by default that of scoring.bundle."
OUT_HELP = "A folder of parts; with a suffix, as in lists.jsonl, one file. Replaced if it exists."


def score(
    dataset: Annotated[str, typer.Argument(help="A prepared data set: its name or folder.")],
    out: Annotated[Path, typer.Option(help=OUT_HELP)],
    bundle: Annotated[Path | None, typer.Option(help=BUNDLE_HELP)] = None,
    top: Annotated[int, typer.Option(min=1, help="Items a user.")] = 10,
    processes: Annotated[int, typer.Option(min=1, help="That share the users; a CPU core each.")] = 1,
    settings_file: SettingsFile = None,
    overrides: Overrides = None,
    data_dir: Annotated[Path, typer.Option(help="Folder of prepared data sets.")] = DATA_DIR,
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
    prepared = find_dataset(dataset, data_dir)
    named = [] if bundle is None else [f"scoring.bundle={json.dumps(str(bundle))}"]
    settings = load(settings_file, [*(overrides or ()), *named, f"scoring.candidates={top}"]).resolved()
    summary = _score(Order(prepared, settings, out.absolute(), processes))
    seconds = time.perf_counter() - started
    if as_json:
        print_json({"out": str(out), **asdict(summary), "seconds": round(seconds, 2)})
    else:
        _show(summary, out, seconds)


def _score(order: Order) -> Summary:
    """Score with a progress bar."""
    with console.bar(remaining=True, transient=True) as bar:
        task = bar.add_task("starting", total=None)
        try:
            return score_users(
                order, lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
            )
        except KeyboardInterrupt:
            bar.stop()
            console.print("Stopped. The same command goes on from here.")
            raise typer.Exit(130) from None


def _show(summary: Summary, out: Path, seconds: float) -> None:
    rate = summary.users / seconds
    told = f"{summary.users:,} users of {summary.dataset} are in {out}, after {seconds:.1f} s ({rate:,.0f} a second)."
    Screen().print(told, highlight=False)
    if summary.unknown_actions:
        told = f"{summary.unknown_actions:,} behaviours have an action that is not in the table: they changed nothing."
        Screen().print(told, highlight=False)

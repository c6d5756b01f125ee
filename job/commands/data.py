"""`recloop data`: prepares public or own data sets, generates synthetic ones, and sums them up."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from job.commands.options import (
    DATA_DIR,
    AsJson,
    DataFolder,
    Overrides,
    Seed,
    SettingsFile,
    find_dataset,
    stop_on_errors,
)
from job.commands.output import Screen, label, print_json, stop_on
from model.actions import DEFAULT_ACTIONS, ActionTable
from model.datasets.action_map import parse_action_map
from model.datasets.columns import ACTION, BEHAVIOR_PARTS, EVENT, GROUP, ITEM, TIME, TITLE, USER, parse_columns
from model.datasets.download import fetch_ml_100k
from model.datasets.errors import SourceError
from model.datasets.generate import MOST_DAYS, Synthetic, generate
from model.datasets.log_rules import LogRules
from model.datasets.prepare import Outcome, Request, prepare
from model.datasets.prepared import DATASET, Dataset
from model.datasets.reading import Format
from model.datasets.sources import SOURCES, Source
from model.event_time import UNITS
from model.folders import check_replaceable, checked_name

_CACHE_DIR = Path(".recloop/cache")

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Prepare, generate and show data sets.")

_SOURCE_HELP = "One of: " + "; ".join(f"{name}: {source.description}" for name, source in SOURCES.items())
_ACTIONS_HELP = "How the set's own words become actions: all=click, or 5=favorite,3=click,1=skip"
_COLUMNS_HELP = (
    "csv, parquet: which column is what, by the header's names or by numbers from 1: "
    f"{USER}=uid,{ITEM}=sku,{ACTION}=what,{TIME}=ts and, if there is one, {EVENT}=id."
)
_DELIMITER_HELP = "csv: what stands between two cells; ',' by default, or ';', tab, '::'."
_ENCODING_HELP = "Of text without a byte order mark, for example latin-1; UTF-8 by default."
_UNIT_HELP = "Of times that are numbers: s, ms, us or ns; by default told from the numbers."
_ITEMS_HELP = "A catalogue beside the source: delimited text or Parquet with item_id, title and group."
_ITEM_COLUMNS_HELP = f"Of --items: {ITEM}=sku,{TITLE}=name,{GROUP}=category."
_AS_LOG_HELP = "The rows are a log in its order: late ones are left out, as the job leaves them out."
_USABLE_HELP = "Refuse the set if a smaller share of the rows can be used."
_EXAMPLES = """
Examples:

recloop data prepare ml-100k

recloop data prepare ml-100k --actions all=click --name ml-clicks

recloop data prepare movielens --path ml-latest-small

recloop data prepare jsonl --path behaviors.jsonl --name mine

recloop data prepare csv --path orders.csv.gz --columns user=uid,item=sku,time=day --actions all=buy --name shop

recloop data prepare csv --path acts.dat --delimiter :: --columns user=1,item=2,action=3,time=4 --items movies.csv
"""
_SETTINGS_HELP = "The job's settings: its actions, log.* and profile.event_ids_limit hold here as well."

_MOST_EACH = 1_000_000_000
"""The most users, items or tastes of a generated set."""


@app.command("prepare", epilog=_EXAMPLES)
def prepare_command(
    source: Annotated[str, typer.Argument(help=_SOURCE_HELP)],
    path: Annotated[Path | None, typer.Option(help="Your own file or folder.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the data set; the source's by default.")] = None,
    actions: Annotated[str, typer.Option(help=_ACTIONS_HELP)] = "",
    columns: Annotated[str | None, typer.Option(help=_COLUMNS_HELP)] = None,
    delimiter: Annotated[str | None, typer.Option(help=_DELIMITER_HELP)] = None,
    encoding: Annotated[str | None, typer.Option(help=_ENCODING_HELP)] = None,
    time_unit: Annotated[str | None, typer.Option(help=_UNIT_HELP)] = None,
    items: Annotated[Path | None, typer.Option(help=_ITEMS_HELP)] = None,
    item_columns: Annotated[str | None, typer.Option(help=_ITEM_COLUMNS_HELP)] = None,
    item_delimiter: Annotated[str | None, typer.Option(help="Of --items, as --delimiter.")] = None,
    as_log: Annotated[bool, typer.Option("--as-log", help=_AS_LOG_HELP)] = False,
    least_usable: Annotated[float, typer.Option(min=0, max=1, help=_USABLE_HELP)] = 0.5,
    settings: SettingsFile = None,
    overrides: Overrides = None,
    data_dir: DataFolder = DATA_DIR,
    force: Annotated[bool, typer.Option("--force", help="Prepare it even if it is up to date.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read a data set, put it into time order and write it where the other commands find it.

    Every line is counted: rows that cannot be used are reported with their reasons, and if too many are, nothing is
    written (--least-usable). A repeated event_id counts once and impossible times are left out, as in the job. A set
    that is up to date is not prepared again.
    """
    with stop_on_errors():
        kind = _source(source, path)
        parts = (ITEM, TITLE, GROUP)
        catalogue = None if item_columns is None else parse_columns(item_columns, "--item-columns", parts, (ITEM,))
        table, log = _of_the_job(settings, overrides, as_log=as_log)
        request = Request(
            name=checked_name(source if name is None else name, "a data set"),
            source=source,
            path=path or fetch_ml_100k(_CACHE_DIR),
            actions=parse_action_map(actions, kind.mapping(table), table),
            form=_format(source, kind, columns, delimiter, encoding, time_unit),
            items=items,
            item_form=Format(encoding, columns=catalogue, delimiter=item_delimiter),
            table=table,
            log=log,
            least_usable=least_usable,
        )
        bar_columns = (SpinnerColumn(), label("{task.description}: {task.completed:,}"), TimeElapsedColumn())
        with Progress(*bar_columns, console=Screen(stderr=True), transient=True) as progress:
            task = progress.add_task(f"reading {source}", total=None)
            folder = data_dir / request.name
            outcome = prepare(request, folder, force=force, progress=lambda n: progress.update(task, completed=n))
    _print_outcome(outcome, as_json=as_json)


@app.command("generate")
def generate_command(
    users: Annotated[int, typer.Option(min=1, max=_MOST_EACH, help="Number of users.")] = 10_000,
    items: Annotated[int, typer.Option(min=1, max=_MOST_EACH, help="Number of items.")] = 5_000,
    behaviors: Annotated[int, typer.Option(min=1, max=10**12, help="Number of behaviours.")] = 1_000_000,
    zipf: Annotated[float, typer.Option(min=0, max=100, help="Exponent of item popularity; 0 is uniform.")] = 1.0,
    tastes: Annotated[int, typer.Option(min=1, max=_MOST_EACH, help="Latent groups of items; users lean to two.")] = 20,
    days: Annotated[float, typer.Option(min=0.001, max=MOST_DAYS, help="Event time that the rows span.")] = 30.0,
    seed: Seed = 0,
    out: Annotated[Path, typer.Option(help="Folder to write; its name names the set.")] = DATA_DIR / "synthetic",
    as_json: AsJson = False,
) -> None:
    """Generate synthetic behaviours of any size, with tastes that a model can learn; equal options give equal bytes.

    Examples:
      recloop data generate

      recloop data generate --users 1000000 --items 100000 --behaviors 50000000 --out .recloop/data/big
    """
    with stop_on(ValueError):
        check_replaceable(out, DATASET)
        shape = Synthetic(users, items, behaviors, zipf, tastes, days, seed)
        started = time.perf_counter()
        with Screen(stderr=True).bar(transient=True) as progress:
            task = progress.add_task("writing", total=behaviors)
            dataset = generate(shape, out, out.name, lambda done: progress.update(task, completed=done))
        rate = behaviors / (time.perf_counter() - started)
    if as_json:
        print_json({**asdict(dataset.info), "behaviors_per_s": round(rate)})
        return
    _print_info(dataset)
    Screen().print(f"{rate:,.0f} behaviours a second")


@app.command("show")
def show_command(
    name: Annotated[str, typer.Argument(help="Name of a prepared data set, or its folder.")],
    data_dir: DataFolder = DATA_DIR,
    as_json: AsJson = False,
) -> None:
    """Sum up a prepared data set.

    Examples:
      recloop data show ml-100k

      recloop data show ml-100k --json
    """
    with stop_on_errors():
        dataset = find_dataset(name, data_dir)
    if as_json:
        print_json(asdict(dataset.info))
        return
    _print_info(dataset)


def _source(name: str, path: Path | None) -> Source:
    """Return the source of that name; without a path it is one that can be fetched."""
    if (kind := SOURCES.get(name)) is None:
        msg = f"there is no source {name!r}; use one of {', '.join(SOURCES)}"
        raise SourceError(msg)
    if path is None and not kind.downloadable:
        msg = f"{name} is not fetched by itself; say where it lies with --path"
        raise SourceError(msg)
    return kind


def _format(
    source: str, kind: Source, columns: str | None, delimiter: str | None, encoding: str | None, unit: str | None
) -> Format:
    if not kind.columns and (columns or delimiter):
        msg = f"--columns and --delimiter are for csv and parquet; the columns of {source} are known"
        raise SourceError(msg)
    if unit is not None and unit not in UNITS:
        msg = f"--time-unit is one of {', '.join(UNITS)}, not {unit!r}"
        raise SourceError(msg)
    parsed = None if columns is None else parse_columns(columns, "--columns", BEHAVIOR_PARTS, (USER, ITEM, TIME))
    return Format(encoding, None if unit is None else UNITS[unit], parsed, delimiter)


def _of_the_job(file: Path | None, overrides: list[str] | None, *, as_log: bool) -> tuple[ActionTable, LogRules]:
    """Return the action table and the log's rules of a deployment; the built-in ones if no settings are given."""
    if file is None and not overrides:
        return DEFAULT_ACTIONS, LogRules(drop_late=as_log)
    from job.settings.job_settings import load
    from job.topology.rules import action_table

    given = load(file, overrides or (), needs_model=False)
    log = given.log
    return action_table(given), LogRules(
        earliest_ms=log.earliest_ms,
        max_ahead_ms=int(log.max_ahead.total_seconds() * 1000),
        allowed_lateness_ms=int(log.allowed_lateness.total_seconds() * 1000),
        event_ids_limit=given.profile.event_ids_limit,
        drop_late=as_log,
    )


def _print_outcome(outcome: Outcome, *, as_json: bool) -> None:
    info, report, screen = outcome.dataset.info, outcome.report, Screen()
    if as_json:
        examples = report.examples if report else {}
        print_json({**asdict(info), "was_up_to_date": report is None, "examples": examples})
        return
    _print_info(outcome.dataset)
    if report is None:
        screen.print("It was up to date; --force prepares it again.")
    else:
        aside = {"of the header": report.headers, "blank": report.blank, "that continue a row": report.continued}
        lines = f"{report.lines:,} lines" + "".join(f", {count:,} {name}" for name, count in aside.items() if count)
        if report.skipped:
            title = f"of {report.rows:,} rows read ({lines})"
            table = Table("rows not used", "reason", "the first of them", title=title)
            for reason, count in report.skipped.most_common():
                table.add_row(f"{count:,}", reason, report.examples[reason])
            screen.print(table)
        else:
            screen.print(f"All {report.rows:,} rows were used ({lines}).")
    for remark in info.remarks:
        screen.print(Text(remark), style="yellow", soft_wrap=True)


def _print_info(dataset: Dataset) -> None:
    table = Table("", "", title=str(dataset.path), show_header=False)
    info = dataset.info
    for name in ("behaviors", "users", "items"):
        table.add_row(name, f"{getattr(info, name):,}")
    for name, time_ms in (("first", info.first_timestamp), ("last", info.last_timestamp)):
        table.add_row(name, time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(time_ms / 1000)))
    table.add_row("actions", info.actions or "-")
    table.add_row("not used", f"{sum(info.skipped.values()):,} rows")
    Screen().print(table)

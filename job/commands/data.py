"""`recloop data`: prepares public or own data sets, generates synthetic ones, and sums them up."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from job.commands.output import print_json, stop_on
from model.datasets.action_map import parse_action_map
from model.datasets.download import fetch_ml_100k
from model.datasets.errors import DatasetError, SourceError
from model.datasets.generate import Synthetic, generate
from model.datasets.prepare import Outcome, Request, prepare
from model.datasets.prepared import DATASET, Dataset, DatasetInfo
from model.datasets.reading import ReadReport
from model.datasets.sources import SOURCES
from model.folders import FolderError, check_replaceable, checked_name

DATA_DIR = Path(".recloop/data")
CACHE_DIR = Path(".recloop/cache")

app = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Prepare, generate and show data sets.")

_SOURCE_HELP = "One of: " + "; ".join(f"{name}: {source.description}" for name, source in SOURCES.items())
_ACTIONS_HELP = "How the set's own words become actions: all=click, or 5=favorite,3=click,1=skip"

OutDir = Annotated[Path, typer.Option(help="Folder of prepared data sets.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of a table.")]


@app.command("prepare")
def prepare_command(
    source: Annotated[str, typer.Argument(help=_SOURCE_HELP)],
    path: Annotated[Path | None, typer.Option(help="Your own file or folder.")] = None,
    name: Annotated[str | None, typer.Option(help="Name of the data set; the source's by default.")] = None,
    actions: Annotated[str, typer.Option(help=_ACTIONS_HELP)] = "",
    data_dir: OutDir = DATA_DIR,
    force: Annotated[bool, typer.Option("--force", help="Prepare it even if it is up to date.")] = False,
    as_json: Json = False,
) -> None:
    """Read a data set, put it into time order and write it where the other commands look.

    Rows that cannot be used are counted and reported. A set that is up to date is left alone.

    Examples:
      recloop data prepare ml-100k

      recloop data prepare ml-100k --actions all=click --name ml-clicks

      recloop data prepare movielens --path ml-latest-small

      recloop data prepare jsonl --path behaviors.jsonl --name mine
    """
    with stop_on(DatasetError, FolderError):
        named = checked_name(source if name is None else name, "a data set")
        request = _request(source, path, named, actions)
        with _spinner() as progress:
            task = progress.add_task(f"reading {source}", total=None)
            outcome = prepare(
                request,
                data_dir / request.name,
                force=force,
                progress=lambda done: progress.update(task, completed=done),
            )
    _print_outcome(outcome, as_json=as_json)


@app.command("generate")
def generate_command(
    users: Annotated[int, typer.Option(help="Number of users.")] = 10_000,
    items: Annotated[int, typer.Option(help="Number of items.")] = 5_000,
    behaviors: Annotated[int, typer.Option(help="Number of behaviours.")] = 1_000_000,
    zipf: Annotated[float, typer.Option(help="Exponent of item popularity; 0 is uniform.")] = 1.0,
    tastes: Annotated[int, typer.Option(help="Latent groups of items; users lean to two.")] = 20,
    days: Annotated[float, typer.Option(help="Event time that the rows span.")] = 30.0,
    seed: Annotated[int, typer.Option(help="Equal seeds and sizes give equal bytes.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder to write; its name names the set.")] = DATA_DIR / "synthetic",
    as_json: Json = False,
) -> None:
    """Generate synthetic behaviours of any size, with tastes that a model can learn.

    Examples:
      recloop data generate

      recloop data generate --users 1000000 --items 100000 --behaviors 50000000 --out .recloop/data/big
    """
    with stop_on(ValueError):
        check_replaceable(out, DATASET)
        shape = Synthetic(users, items, behaviors, zipf, tastes, days, seed)
        started = time.perf_counter()
        with _bar() as progress:
            task = progress.add_task("writing", total=behaviors)
            dataset = generate(shape, out, out.name, lambda done: progress.update(task, completed=done))
        rate = behaviors / (time.perf_counter() - started)
    if as_json:
        print_json({**asdict(dataset.info), "behaviors_per_s": round(rate)})
        return
    _print_info(dataset)
    Console().print(f"{rate:,.0f} behaviours a second")


@app.command("show")
def show_command(
    name: Annotated[str, typer.Argument(help="Name of a prepared data set, or its folder.")],
    data_dir: OutDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Sum up a prepared data set.

    Examples:
      recloop data show ml-100k

      recloop data show ml-100k --json
    """
    with stop_on(DatasetError, FolderError):
        dataset = find_dataset(name, data_dir)
    if as_json:
        print_json(asdict(dataset.info))
        return
    _print_info(dataset)


def find_dataset(name: str, data_dir: Path = DATA_DIR) -> Dataset:
    """Opens a prepared data set by its name in `data_dir`, or by its folder.

    Raises:
        NotPreparedError: there is none.
        FolderNameError: it is no folder, and no name of one.
    """
    if name.strip() and Path(name).is_dir() and ("/" in name or not (data_dir / name).is_dir()):
        return Dataset.open(Path(name))
    return Dataset.open(data_dir / checked_name(name, "a data set"))


def _request(source: str, path: Path | None, name: str, actions: str) -> Request:
    kind = SOURCES.get(source)
    if kind is None:
        msg = f"there is no source {source!r}; use one of {', '.join(SOURCES)}"
        raise SourceError(msg)
    mapping = parse_action_map(actions, kind.actions)
    if path is None and not kind.downloadable:
        msg = f"{source} is not fetched by itself; say where it lies with --path"
        raise SourceError(msg)
    return Request(name, source, path or fetch_ml_100k(CACHE_DIR), mapping)


def _spinner() -> Progress:
    columns = (SpinnerColumn(), TextColumn("{task.description}: {task.completed:,}"), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _bar() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _print_outcome(outcome: Outcome, *, as_json: bool) -> None:
    info = outcome.dataset.info
    if as_json:
        examples = outcome.report.examples if outcome.report else {}
        print_json({**asdict(info), "was_up_to_date": outcome.report is None, "examples": examples})
        return
    _print_info(outcome.dataset)
    if outcome.report is None:
        Console().print("It was up to date; --force prepares it again.")
    else:
        _print_skipped(outcome.report)


def _print_skipped(report: ReadReport) -> None:
    if not report.skipped:
        Console().print(f"All {report.rows:,} rows were used.")
        return
    table = Table("rows not used", "reason", "the first of them", title=f"of {report.rows:,} rows read")
    for reason, count in report.skipped.most_common():
        table.add_row(f"{count:,}", escape(reason), escape(report.examples[reason]))
    Console().print(table)


def _print_info(dataset: Dataset) -> None:
    table = Table("", "", title=escape(str(dataset.path)), show_header=False)
    for label, value in _facts(dataset.info).items():
        table.add_row(label, escape(value))
    Console().print(table)


def _facts(info: DatasetInfo) -> dict[str, str]:
    first, last = (
        time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(ms / 1000))
        for ms in (info.first_timestamp, info.last_timestamp)
    )
    counts = {name: f"{getattr(info, name):,}" for name in ("behaviors", "users", "items")}
    skipped = f"{sum(info.skipped.values()):,} rows"
    return {**counts, "first": first, "last": last, "actions": info.actions or "-", "not used": skipped}

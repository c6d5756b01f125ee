"""`recloop models`: the registry of bundles, and the pointers to the versions to serve."""

import math
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.status import Status
from rich.table import Column, Table
from rich.text import Text

from job.commands.options import DEFAULT_REGISTRY, AsJson, RegistryUrl
from job.commands.output import Screen, figure, print_json, print_line, stop_on
from model.bundles.bundle import BundleError, read_manifest
from model.bundles.manifest import LEAST_RECALL, PROTOCOL
from model.registry.errors import RegistryCorruptError, RegistryError
from model.registry.pointers import CANDIDATE, CURRENT, Pointers
from model.registry.registry import Registry

_LEAST_RECALL_HELP = "Share of the ten best items that a bundle with items in cells has to find, as it was measured."
_MARKS = {CURRENT: Text("current", style="bold green"), CANDIDATE: Text("candidate", style="yellow"), None: Text()}

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="rich",
    help="The registry: bundles under immutable versions, and which of them is current and candidate.",
)

Name = Annotated[str, typer.Argument(help="Name of the model.")]


@app.command()
def register(
    bundle: Annotated[Path, typer.Argument(help="Folder of the bundle.")],
    name: Annotated[str | None, typer.Option(help="Name of the model; the bundle's own by default.")] = None,
    least_recall: Annotated[float, typer.Option(min=0, max=1, help=_LEAST_RECALL_HELP)] = LEAST_RECALL,
    registry_url: RegistryUrl = DEFAULT_REGISTRY,
    as_json: AsJson = False,
) -> None:
    """Copy a bundle into the registry, under its own version; the served version stays the same.

    A corrupt bundle is refused, and so is a version that exists with other content. To register the same bundle again
    changes nothing. `recloop train --register` registers right after training.

    Examples:
      recloop models register .recloop/models/ml-100k

      recloop models register .recloop/models/gru --name ml-100k --registry s3://models/recloop
    """
    with stop_on(BundleError, RegistryError), _working():
        registry = Registry(registry_url)
        version = registry.register(bundle, name, least_recall=least_recall)
        model = name or read_manifest(bundle).name
    if as_json:
        print_json({"model": model, **asdict(version)})
        return
    print_line(f"{model} {version.id} is in {registry.place}.")
    print_line(f"To serve it: recloop models promote {model} {version.id}")


@app.command("list")
def list_command(registry_url: RegistryUrl = DEFAULT_REGISTRY, as_json: AsJson = False) -> None:
    """List every model and version, with the pointers; exit with 1 if the pointers of a model cannot be read.

    Examples:
      recloop models list

      recloop models list --registry s3://models/recloop --json
    """
    with stop_on(RegistryError), _working():
        registry = Registry(registry_url)
        found: dict[str, dict[str, Any]] = {}
        for name in registry.names():
            try:
                pointers = registry.pointers(name)  # before the versions: what they name is then among these
            except RegistryCorruptError as error:
                versions = [{"id": version} for version in registry.versions(name)]
                found[name] = {"problem": str(error), "versions": versions}
            else:
                rows = [_row(registry, name, pointers, version) for version in registry.versions(name)]
                found[name] = {"pointers": asdict(pointers), "versions": rows}
    if as_json:
        print_json(found)
    elif found:
        _print_list(found, registry.place)
    else:
        print_line(f"{registry.place} has no models: recloop train DATASET --register")
    problems = [model["problem"] for model in found.values() if "problem" in model]
    for problem in problems:
        print_line(f"Error: {problem}", err=True)
    if problems:
        raise typer.Exit(1)


@app.command()
def show(
    name: Name,
    version: Annotated[str, typer.Argument(help="A version, current or candidate.")] = CURRENT,
    registry_url: RegistryUrl = DEFAULT_REGISTRY,
    as_json: AsJson = False,
) -> None:
    """Show a model's pointers, and the details of one of its versions.

    Examples:
      recloop models show ml-100k

      recloop models show ml-100k candidate --json
    """
    with stop_on(BundleError, RegistryError), _working():
        registry = Registry(registry_url)
        pointers = registry.pointers(name)
        found = registry.find(name, version)
        manifest = registry.manifest(name, found)
    if as_json:
        print_json({"model": name, **asdict(found), "pointers": asdict(pointers), "manifest": asdict(manifest)})
        return
    table = Table("", Column("", overflow="fold"), title=f"{name} {found.id}", show_header=False)
    trained = manifest.training
    facts = {
        "hash": found.hash,
        "recommender": manifest.recommender,
        "made": manifest.created_at,
        "items": f"{manifest.items:,}",
        "history": f"newest {manifest.history_length} items",
        "returns": f"{manifest.k} items",
        "trained on": f"{trained.behaviors:,} behaviours of {trained.dataset}, before {trained.cut_off}",
        "data": trained.fingerprint,
        **{measure: f"{value:g}" for measure, value in manifest.metrics.items()},
    }
    for fact, value in facts.items():
        table.add_row(fact, value)
    Screen().print(table)
    if manifest.metrics:
        Screen().print(PROTOCOL, style="dim")
    _print_pointers(name, pointers)


@app.command()
def promote(
    name: Name,
    version: Annotated[str | None, typer.Argument(help="The version; the candidate by default.")] = None,
    registry_url: RegistryUrl = DEFAULT_REGISTRY,
    as_json: AsJson = False,
) -> None:
    """Make a version current, after checking that it is whole.

    Examples:
      recloop models promote ml-100k

      recloop models promote ml-100k 20260131T120000
    """
    with stop_on(BundleError, RegistryError), _working():
        pointers = Registry(registry_url).promote(name, version)
    _print_moved(name, pointers, as_json=as_json)


@app.command()
def candidate(
    name: Name,
    version: Annotated[str | None, typer.Argument(help="The version.")] = None,
    none: Annotated[bool, typer.Option("--none", help="No version is the candidate any more.")] = False,
    registry_url: RegistryUrl = DEFAULT_REGISTRY,
    as_json: AsJson = False,
) -> None:
    """Make a version the candidate, after checking that it is whole.

    Examples:
      recloop models candidate ml-100k 20260131T120000

      recloop models candidate ml-100k --none
    """
    if none is (version is not None):
        msg = "give a version, or --none"
        raise typer.BadParameter(msg)
    with stop_on(BundleError, RegistryError), _working():
        pointers = Registry(registry_url).set_candidate(name, version)
    _print_moved(name, pointers, as_json=as_json)


@app.command()
def rollback(name: Name, registry_url: RegistryUrl = DEFAULT_REGISTRY, as_json: AsJson = False) -> None:
    """Make the version current again that was before the last promotion; each further call goes one back.

    Example:
      recloop models rollback ml-100k
    """
    with stop_on(BundleError, RegistryError), _working():
        pointers = Registry(registry_url).rollback(name)
    _print_moved(name, pointers, as_json=as_json)


def _working() -> Status:
    return Screen(stderr=True).status("looking into the registry")


def _row(registry: Registry, name: str, pointers: Pointers, version_id: str) -> dict[str, Any]:
    """Return the facts about a version, or the reason why it cannot be used."""
    pointer = next((p for p in (CURRENT, CANDIDATE) if (v := pointers.named(p)) and v.id == version_id), None)
    row: dict[str, Any] = {"id": version_id, "pointer": pointer}
    try:
        version = registry.find(name, pointer or version_id)
        manifest = registry.manifest(name, version)
    except BundleError as error:
        return {**row, "problem": str(error)}
    facts = {key: getattr(manifest, key) for key in ("recommender", "created_at", "items", "metrics")}
    return {**row, "hash": version.hash, **facts}


def _print_list(found: dict[str, dict[str, Any]], place: str) -> None:
    table = Table("model", Column("version", no_wrap=True), Column("", no_wrap=True), title=place)
    for title in ("recommender", "items", "HR@10", "NDCG@10"):
        table.add_column(title)
    for name, model in found.items():
        for row in model["versions"]:
            if "problem" in model:
                table.add_row(name, row["id"], "", Text("pointers damaged", style="red"))
            elif "problem" in row:
                problem = Text(f"cannot be used: {row['problem']}", style="red")
                table.add_row(name, row["id"], _MARKS[row["pointer"]], problem)
            else:
                measured = (row["metrics"].get(f"{measure}_known", math.nan) for measure in ("hr_10", "ndcg_10"))
                cells = (row["recommender"], f"{row['items']:,}", *map(figure, measured))
                table.add_row(name, row["id"], _MARKS[row["pointer"]], *cells)
    Screen().print(table)
    Screen().print(f"Of known users. {PROTOCOL}", style="dim")


def _print_moved(name: str, pointers: Pointers, *, as_json: bool) -> None:
    if as_json:
        print_json({"model": name, **asdict(pointers)})
        return
    _print_pointers(name, pointers)


def _print_pointers(name: str, pointers: Pointers) -> None:
    before = ", ".join(version.id for version in reversed(pointers.previous)) or "none"
    current, other = (v.id if v else "none" for v in (pointers.current, pointers.candidate))
    print_line(f"{name}: current {current}, candidate {other}; before that: {before} (revision {pointers.revision}).")

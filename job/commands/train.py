"""`recloop train`: trains a recommender on a prepared data set and writes a bundle with its measured accuracy."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from job.commands.options import (
    DATA_DIR,
    DEFAULT_REGISTRY,
    LEAST_CUT,
    MOST_THREADS,
    TARGETS_HELP,
    AsJson,
    DataFolder,
    Dim,
    HistoryLength,
    PreparedSet,
    RegistryUrl,
    Seed,
    Threads,
    bounded,
    epoch_ms,
    find_dataset,
    targets_limit,
)
from job.commands.output import Screen, figure, print_json, print_line
from job.commands.training import CUT, RECOMMENDERS_HELP, TrainingProgress, use_threads
from model.bundles.bundle_files import BUNDLE
from model.bundles.manifest import PROTOCOL
from model.errors import TrainingError
from model.folders import beside, check_replaceable, checked_name
from model.recommenders.kinds import DEFAULT_KIND, Size, kind_named
from model.recommenders.options import BOUNDS
from model.registry.pointers import CANDIDATE
from model.registry.registry import Registry
from model.training.torchrun import begun_again, follows
from model.training.train_config import CHECKPOINT, Checkpoints

if TYPE_CHECKING:
    from model.datasets.prepared import Dataset
    from model.fit import FitConfig, Fitted
    from model.training.train import TrainConfig

_MODELS_DIR = Path(".recloop/models")
_CUT_OFF_HELP = "Train on what is older than this, epoch milliseconds; replaces --cut."
_REGISTER_HELP = "Register it: the model's candidate from then on, or current if there was none."
_EPOCHS_HELP = "Passes over the data; by default what suits the recommender."
_PROCESSES_HELP = (
    "Processes of this machine that share each step; with --device cuda each has a GPU. When one is killed, all go on "
    "from the last checkpoint. Or start the command by torchrun, which may span machines."
)
_PRECISION_HELP = "mixed: a GPU multiplies in 16 bits where that costs no accuracy."
_RESUME_HELP = "Go on from the checkpoint of the same command, whatever ended it. Left out, a checkpoint is removed."
_NEGATIVES_HELP = "Items drawn per step to compare the next one with; 0: all of them, as it is up to 20,000 items."
EXAMPLES = """
Examples:

recloop train ml-100k --register

recloop train ml-100k --recommender hybrid:epochs=20 --out .recloop/models/hybrid

recloop train ml-100k --processes 2 --resume

torchrun --standalone --nproc-per-node 2 -m job.cli train ml-100k
"""


class Precision(StrEnum):
    """The precision of multiplications."""

    FULL = "full"
    MIXED = "mixed"


def train(
    dataset: PreparedSet,
    recommender: Annotated[str, typer.Option(help=RECOMMENDERS_HELP)] = DEFAULT_KIND,
    cut: Annotated[float, typer.Option(min=LEAST_CUT, max=1, help="Share of the behaviours to train on.")] = CUT,
    cut_off: Annotated[int | None, epoch_ms(_CUT_OFF_HELP)] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the bundle; by default the data set's name.")] = None,
    epochs: Annotated[int | None, bounded("epochs", _EPOCHS_HELP)] = None,
    history_length: HistoryLength = 0,
    dim: Dim = 64,
    k: Annotated[int, typer.Option(min=10, max=BOUNDS["k"].most, help="Items a prediction returns.")] = 100,
    negatives: Annotated[int | None, bounded("negatives", _NEGATIVES_HELP)] = None,
    seed: Seed = 0,
    threads: Threads = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    precision: Annotated[Precision, typer.Option(help=_PRECISION_HELP)] = Precision.FULL,
    processes: Annotated[int, typer.Option(min=1, max=MOST_THREADS, help=_PROCESSES_HELP)] = 1,
    resume: Annotated[bool, typer.Option("--resume", help=_RESUME_HELP)] = False,
    data_dir: DataFolder = DATA_DIR,
    targets_per_user: Annotated[int | None, targets_limit(TARGETS_HELP)] = None,
    register: Annotated[bool, typer.Option("--register", help=_REGISTER_HELP)] = False,
    registry_url: RegistryUrl = DEFAULT_REGISTRY,
    as_json: AsJson = False,
) -> None:
    """Train a recommender before a cut-off, measure it after, and write a bundle that can be served."""
    registry = Registry(registry_url) if register else None  # refused before minutes of training, rather than after
    prepared = find_dataset(dataset, data_dir)
    bundle = out or _MODELS_DIR / checked_name(prepared.info.name, "a model")
    check_replaceable(bundle, BUNDLE)
    training = _training_of(recommender, epochs, seed, device, negatives)
    use_threads(threads)
    from model.fit import FitConfig

    checkpoints = Checkpoints(folder=checkpoints_of(bundle), resume=resume or begun_again())
    config = FitConfig(
        recommender=recommender,
        cut=cut,
        cut_off=cut_off,
        size=Size(history_length=history_length, dim=dim, k=k),
        settings=replace(training, precision=precision.value, processes=processes, checkpoints=checkpoints),
        per_user=targets_per_user,
    )
    fitted = _fit(prepared, bundle, config)
    if fitted is not None:
        _report(fitted, registry, as_json=as_json)


def checkpoints_of(bundle: Path) -> Path:
    """Return the folder beside a bundle that holds its training's checkpoint until the bundle is written."""
    return beside(bundle.absolute(), "training")


def _fit(dataset: Dataset, bundle: Path, config: FitConfig) -> Fitted | None:
    """Train with a progress bar; return None in all of torchrun's processes but the first.

    The first does alone all that is not training.
    """
    from model.fit import fit, fit_along

    if follows():
        fit_along(dataset, config)
        return None
    try:
        with TrainingProgress() as progress:
            return fit(dataset, bundle, config, datetime.now(UTC), progress)
    except KeyboardInterrupt:
        if (checkpoints_of(bundle) / CHECKPOINT).exists():
            print_line("Stopped. The same command with --resume goes on from the last checkpoint.", err=True)
        raise typer.Exit(130) from None


def _report(fitted: Fitted, registry: Registry | None, *, as_json: bool) -> None:
    """Print the trained model's figures, and offer its bundle to the registry.

    The table is printed even if the registry refuses the bundle; JSON is printed only after the offer.
    """
    if not as_json:
        _print(fitted)
    registered: dict[str, object] | None = None
    if registry is not None:
        version, pointers = registry.offer(fitted.bundle.path)
        pointer = pointers.name_of(version)
        registered = {**asdict(version), "pointer": pointer, "revision": pointers.revision}
        if not as_json:
            name = fitted.bundle.manifest.name
            Screen().print(f"Registered: {name} {version.id} is {pointer}.", highlight=False)
            if pointer == CANDIDATE:
                Screen().print(f"To serve it to everyone: recloop models promote {name}", highlight=False)
    if as_json:
        manifest = fitted.bundle.manifest
        print_json(
            {
                "bundle": str(fitted.bundle.path),
                "hash": fitted.bundle.hash,
                "recommender": manifest.recommender,
                "items": manifest.items,
                "training": asdict(manifest.training),
                "protocol": PROTOCOL,
                "model": asdict(fitted.model),
                "popularity": asdict(fitted.popularity),
                "train_s": round(fitted.train_s, 2),
                "evaluate_s": round(fitted.evaluate_s, 2),
                "targets_left_out": fitted.left_out,
                "registered": registered,
            }
        )


def _print(fitted: Fitted) -> None:
    manifest, everyone = fitted.bundle.manifest, fitted.model.everyone
    table = Table("", "users", "targets", "HR@10", "NDCG@10", title=str(fitted.bundle.path))
    for name, evaluation in ((manifest.recommender, fitted.model), ("all-time popularity", fitted.popularity)):
        for users, accuracy in (("known", evaluation.known), ("everyone", evaluation.everyone)):
            measured = (figure(accuracy.hr_10), figure(accuracy.ndcg_10))
            table.add_row(name, users, f"{accuracy.targets:,}", *measured)
    console = Screen()
    console.print(table)
    console.print(PROTOCOL, style="dim")
    if not everyone.targets:
        console.print("The model's accuracy was not measured: no user does anything new after the cut-off.")
    elif not fitted.model.known.targets:
        console.print("No target is of a known user, so the accuracy for known users was not measured.")
    if fitted.asked_k > manifest.items:
        remark = (
            f"It knows {manifest.items:,} items, so a prediction returns at most so many, not {fitted.asked_k:,} (--k)."
        )
        console.print(remark, highlight=False)
    if fitted.left_out:
        remark = f"{fitted.left_out:,} targets of very active users were left out: see --targets-per-user."
        console.print(remark, highlight=False)
    console.print(f"Trained in {fitted.train_s:.1f} s, evaluated in {fitted.evaluate_s:.1f} s.")


def _training_of(
    recommender: str, epochs: int | None, seed: int, device: str, negatives: int | None = None
) -> TrainConfig:
    """Return the training settings of a recommender, with the given ones laid over them; imports torch.

    Raises:
        TrainingError: torch knows no such device, or this machine has none.
        OptionError: the recommender has no use for a given setting.
    """
    kind = kind_named(recommender)
    import torch

    try:
        device_kind = torch.device(device).type
    except RuntimeError:
        device_kind = ""
    if device_kind not in {"cpu", "cuda"}:
        msg = f"--device is cpu or cuda, not {device!r}"
        raise TrainingError(msg)
    if device_kind == "cuda" and not torch.cuda.is_available():
        msg = f"there is no GPU here for --device {device}: take cpu"
        raise TrainingError(msg)
    kind.refuse_unused({"epochs": epochs, "negatives": negatives})
    usual = kind.recipe().SETTINGS
    drawn = usual.negatives if negatives is None else negatives
    return replace(usual, epochs=epochs or usual.epochs, seed=seed, device=device, negatives=drawn)

"""`recloop train`: trains a recommender on a prepared data set and writes a bundle with its measured accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import TaskID
from rich.table import Table

from job.commands.data import DATA_DIR, find_dataset
from job.commands.models import DEFAULT_REGISTRY, RegistryUrl
from job.commands.output import Screen, print_json, say
from model.bundles.bundle_files import BUNDLE
from model.bundles.manifest import PROTOCOL
from model.errors import TrainingError
from model.folders import beside, check_replaceable, checked_name
from model.recommenders.kinds import DEFAULT_KIND, KINDS, Size, kind_named
from model.registry.pointers import CANDIDATE, Pointers, Version
from model.registry.registry import Registry
from model.training.torchrun import begun_again, follows
from model.training.train_config import CHECKPOINT, Checkpoints

if TYPE_CHECKING:
    from model.datasets.prepared import Dataset
    from model.evaluation.evaluate import Evaluation
    from model.fit import FitConfig, Fitted
    from model.training.train import EpochDone, TrainConfig

MODELS_DIR = Path(".recloop/models")
REGISTER_HELP = "Register it: the model's candidate from then on, or current if there was none."
OPTIONS_HELP = "Its options may stand behind a name, als:dim=32:decay=0.8; a wrong one is told which there are."
RECOMMENDERS_HELP = f"{OPTIONS_HELP} One of: " + "; ".join(f"{name}: {kind.summary}" for name, kind in KINDS.items())
CUT_OFF_HELP = "Train on what is older than this, epoch milliseconds; replaces --cut."
EPOCHS_HELP = "Passes over the data; by default what suits the recommender."
THREADS_HELP = "CPU threads; 0 lets torch choose. On small models more only wait."
PROCESSES_HELP = (
    "Processes of this machine that share each step; with --device cuda each has a GPU. When one is killed, all go on "
    "from the last checkpoint. Or start the command by torchrun, which may span machines."
)
PRECISION_HELP = "mixed: a GPU multiplies in 16 bits where that costs no accuracy."
RESUME_HELP = "Go on from the checkpoint of the same command, whatever ended it. Left out, a checkpoint is removed."
TARGETS_HELP = "Behaviours of one user that are foreseen, at most; by default no user has more than a tenth of all."
NEGATIVES_HELP = "Items drawn a step to compare the next one with; 0: all of them, as it is up to 20,000 items."


class Precision(StrEnum):
    """The precision of multiplications."""

    FULL = "full"
    MIXED = "mixed"


def train(
    dataset: Annotated[str, typer.Argument(help="Name of a prepared data set, or its folder.")],
    recommender: Annotated[str, typer.Option(help=RECOMMENDERS_HELP)] = DEFAULT_KIND,
    cut: Annotated[float, typer.Option(help="Share of the behaviours to train on, oldest first.")] = 0.8,
    cut_off: Annotated[int | None, typer.Option(help=CUT_OFF_HELP)] = None,
    out: Annotated[Path | None, typer.Option(help="Folder of the bundle; by default the data set's name.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help=EPOCHS_HELP)] = None,
    history_length: Annotated[int, typer.Option(min=0, help="Newest items looked at; 0 is what suits the model.")] = 0,
    dim: Annotated[int, typer.Option(min=1, help="Width of an item's embedding.")] = 64,
    k: Annotated[int, typer.Option(min=10, help="Items a prediction returns.")] = 100,
    negatives: Annotated[int | None, typer.Option(min=0, help=NEGATIVES_HELP)] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of everything random.")] = 0,
    threads: Annotated[int, typer.Option(min=0, help=THREADS_HELP)] = 1,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    precision: Annotated[Precision, typer.Option(help=PRECISION_HELP)] = Precision.FULL,
    processes: Annotated[int, typer.Option(min=1, help=PROCESSES_HELP)] = 1,
    resume: Annotated[bool, typer.Option("--resume", help=RESUME_HELP)] = False,
    data_dir: Annotated[Path, typer.Option(help="Folder of prepared data sets.")] = DATA_DIR,
    targets_per_user: Annotated[int | None, typer.Option(min=1, help=TARGETS_HELP)] = None,
    register: Annotated[bool, typer.Option("--register", help=REGISTER_HELP)] = False,
    registry_url: RegistryUrl = DEFAULT_REGISTRY,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train a recommender before a cut-off, measure it after, and write a bundle that can be served.

    Examples:
      recloop train ml-100k --register

      recloop train ml-100k --recommender hybrid:epochs=20 --out .recloop/models/hybrid

      recloop train ml-100k --processes 2 --resume

      torchrun --standalone --nproc-per-node 2 -m job.cli train ml-100k
    """
    registry = Registry(registry_url) if register else None  # refused before minutes of training, rather than after
    prepared = find_dataset(dataset, data_dir)
    bundle = out or MODELS_DIR / checked_name(prepared.info.name, "a model")
    check_replaceable(bundle, BUNDLE)
    how = training_of(recommender, epochs, seed, device, negatives)
    use_threads(threads)
    from model.fit import FitConfig

    checkpoints = Checkpoints(folder=checkpoints_of(bundle), resume=resume or begun_again())
    config = FitConfig(
        recommender=recommender,
        cut=cut,
        cut_off=cut_off,
        size=Size(history_length=history_length, dim=dim, k=k),
        how=replace(how, precision=precision.value, processes=processes, checkpoints=checkpoints),
        per_user=targets_per_user,
    )
    fitted = _fit(prepared, bundle, config)
    if fitted is not None:
        _tell(fitted, registry, as_json=as_json)


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
            say("Stopped. The same command with --resume goes on from the last checkpoint.", err=True)
        raise typer.Exit(130) from None


def _tell(fitted: Fitted, registry: Registry | None, *, as_json: bool) -> None:
    """Print the trained model's figures, and offer its bundle to the registry.

    The table is printed even if the registry refuses the bundle; JSON is printed only after the offer.
    """
    if not as_json:
        _print(fitted)
    offered = None if registry is None else registry.offer(fitted.bundle.path)
    if as_json:
        print_json({**_as_dict(fitted), "registered": offered and _registered(*offered)})
    elif offered is not None:
        _print_registered(fitted.bundle.manifest.name, *offered)


def use_threads(threads: int) -> None:
    """Set torch's threads; 0 lets it choose."""
    if threads:
        import torch

        torch.set_num_threads(threads)


def training_of(
    recommender: str, epochs: int | None, seed: int, device: str, negatives: int | None = None
) -> TrainConfig:
    """Return the training settings of a recommender, with the given ones laid over them; imports torch.

    Raises:
        TrainingError: there is no such device.
        OptionError: the recommender has no use for a given setting.
    """
    kind = kind_named(recommender)
    _refuse_device(device)
    kind.refuse_unused({"epochs": epochs, "negatives": negatives})
    how = kind.recipe().HOW
    drawn = how.negatives if negatives is None else negatives
    return replace(how, epochs=epochs or how.epochs, seed=seed, device=device, negatives=drawn)


def _refuse_device(device: str) -> None:
    """Raise TrainingError if torch knows no such device, or this machine has none."""
    import torch

    try:
        kind = torch.device(device).type
    except RuntimeError:
        kind = ""
    if kind not in {"cpu", "cuda"}:
        msg = f"--device is cpu or cuda, not {device!r}"
        raise TrainingError(msg)
    if kind == "cuda" and not torch.cuda.is_available():
        msg = f"there is no GPU here for --device {device}: take cpu"
        raise TrainingError(msg)


class TrainingProgress:
    """A progress bar of stages and epochs on standard error."""

    def __init__(self) -> None:
        self._bar = Screen(stderr=True).bar(transient=True)
        self._task: TaskID = self._bar.add_task("starting", total=None)

    def __enter__(self) -> TrainingProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, news: EpochDone | str) -> None:
        """Show a stage or a finished epoch."""
        if isinstance(news, str):
            self._bar.reset(self._task, description=news, total=None)
        else:
            told = f"training, loss {news.loss:.3f}"
            self._bar.update(self._task, completed=news.epoch, total=news.epochs, description=told)


def _as_dict(fitted: Fitted) -> dict[str, object]:
    return {
        "bundle": str(fitted.bundle.path),
        "hash": fitted.bundle.hash,
        "recommender": fitted.bundle.manifest.recommender,
        "items": fitted.bundle.manifest.items,
        "training": asdict(fitted.bundle.manifest.training),
        "protocol": PROTOCOL,
        "model": asdict(fitted.model),
        "popularity": asdict(fitted.popularity),
        "train_s": round(fitted.train_s, 2),
        "evaluate_s": round(fitted.evaluate_s, 2),
        "targets_left_out": fitted.left_out,
    }


def _registered(version: Version, pointers: Pointers) -> dict[str, object]:
    return {**asdict(version), "pointer": pointers.name_of(version), "revision": pointers.revision}


def _print_registered(name: str, version: Version, pointers: Pointers) -> None:
    pointer = pointers.name_of(version)
    Screen().print(f"Registered: {name} {version.id} is {pointer}.", highlight=False)
    if pointer == CANDIDATE:
        Screen().print(f"To serve it to everyone: recloop models promote {name}", highlight=False)


def _print(fitted: Fitted) -> None:
    table = Table("", "users", "targets", "HR@10", "NDCG@10", title=str(fitted.bundle.path))
    for name, evaluation in (
        (fitted.bundle.manifest.recommender, fitted.model),
        ("all-time popularity", fitted.popularity),
    ):
        for row in _rows(name, evaluation):
            table.add_row(*row)
    console = Screen()
    console.print(table)
    console.print(PROTOCOL, style="dim")
    for remark in _remarks(fitted):
        console.print(remark, highlight=False)
    console.print(f"Trained in {fitted.train_s:.1f} s, evaluated in {fitted.evaluate_s:.1f} s.")


def _remarks(fitted: Fitted) -> Iterator[str]:
    """Yield remarks on facts that the table does not show."""
    items = fitted.bundle.manifest.items
    if fitted.asked_k > items:
        yield f"It knows {items:,} items, so a prediction returns at most so many, not {fitted.asked_k:,} (--k)."
    if fitted.left_out:
        yield f"{fitted.left_out:,} targets of very active users were left out: see --targets-per-user."


def _rows(name: str, evaluation: Evaluation) -> list[tuple[str, ...]]:
    parts = (("known", evaluation.known), ("everyone", evaluation.everyone))
    return [(name, who, f"{a.targets:,}", f"{a.hr_10:.4f}", f"{a.ndcg_10:.4f}") for who, a in parts]

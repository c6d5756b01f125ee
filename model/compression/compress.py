"""Compress a bundle by several methods, measure each result beside it, and write those that lose little enough.

Each method gives a bundle with the same contract, which the job serves like any other. Steps that train use the
behaviours before the bundle's cut-off; accuracy is measured on those after it. The results are written at the end, in
one piece, or not at all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import msgspec

from model.bundles.bundle import Bundle, Compression, Contents, Manifest, load_module, write_bundle
from model.bundles.bundle_files import FILES, MANIFEST, MODEL
from model.bundles.manifest import PROTOCOL
from model.bundles.torchscript import load_script
from model.compression.measure import Measured, Served, measure
from model.compression.methods import CompressionError, refuse_kind, steps_of
from model.compression.outcomes import Outcome, Report
from model.compression.rebuild import kind_of
from model.compression.steps import Shrinking, Workshop
from model.datasets.interactions import Interactions, load_interactions
from model.datasets.prepared import Dataset
from model.evaluation.evaluate import Targets, find_targets
from model.fit import metrics_of
from model.folders import FolderKind, check_replaceable, whole_folder
from model.pictures import can_draw
from model.recommenders.kinds import Progress

REPORT = "compression.json"
PICTURE = "compression.png"
COMPRESSED = FolderKind(
    "a folder of compressed bundles",
    REPORT,
    frozenset({"outcomes", "max_loss"}),
    (REPORT, PICTURE, *(f"*/{name}" for name in (MANIFEST, *FILES))),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressing:
    """The request: the methods to try and the loss to accept.

    Attributes:
        ways: the methods, as `model.compression.methods` reads them.
        max_loss: share of NDCG@10 that may be lost; a method that loses more is refused.
        shrinking: options of the steps that train.
        created_at: time zone aware; the bundles' versions begin with it.
    """

    ways: tuple[str, ...]
    max_loss: float = 0.01
    shrinking: Shrinking = field(default_factory=Shrinking)
    created_at: datetime


def compress(
    bundle: Bundle, dataset: Dataset, out: Path, wanted: Compressing, progress: Progress = lambda _: None
) -> Report:
    """Compress and measure, and write a folder with a bundle per accepted method, the report and its picture.

    Without matplotlib there is no picture.

    Args:
        bundle: the bundle to compress; it stays as it is.
        dataset: the data set that it was trained on.
        out: the folder; one with an earlier report is replaced. If every method is refused, nothing is written.
        wanted: the methods, and the loss that they may have.
        progress: called with each stage's name and each finished epoch.

    Raises:
        CompressionError: the bundle cannot be compressed by such a method, the data set is another one, no user does
            anything new after the bundle's cut-off, or the bundle predicts none of it.
        BundleDeviceError: int8 is asked for, and this CPU does not multiply 8-bit integers exactly.
        FolderError: `out` holds something else, or its name is no folder's name.
    """
    _refuse(bundle, dataset, out, wanted.ways)
    progress("reading")
    log = load_interactions(dataset).with_vocabulary(bundle.vocabulary)
    targets = _targets(bundle, log)
    workshop = Workshop(bundle, log.before(bundle.manifest.training.cut_off), wanted.shrinking, progress)
    scripts = {way: workshop.script(way) for way in wanted.ways}
    made = {way: Served(len(script), load_script(script, "cpu")) for way, script in scripts.items()}
    before = Served((bundle.path / MODEL).stat().st_size, load_module(bundle, "cpu"))
    measured = measure(before, made, targets, wanted.max_loss, progress)
    report = _report(bundle, dataset, targets, measured, wanted.max_loss)
    if report.kept:
        progress("writing the bundles")
        bundles = {
            outcome.way: (
                _contents(bundle, scripts[outcome.way]),
                _manifest(bundle, outcome, metrics_of(measured.evaluations[outcome.way]), wanted.created_at),
            )
            for outcome in report.kept
        }
        _write(out, report, bundles)
    return report


def _targets(bundle: Bundle, log: Interactions) -> Targets:
    cut_off = bundle.manifest.training.cut_off
    targets = find_targets(log, cut_off, bundle.manifest.history_length)
    if not len(targets):
        msg = f"no user does anything new after the bundle's cut-off {cut_off}: what is lost cannot be measured"
        raise CompressionError(msg)
    return targets


def _report(bundle: Bundle, dataset: Dataset, targets: Targets, measured: Measured, max_loss: float) -> Report:
    return Report(
        bundle=str(bundle.path),
        hash=bundle.hash,
        recommender=kind_of(bundle),
        dataset=dataset.info.name,
        protocol=PROTOCOL,
        targets=len(targets),
        users=len(set(targets.user.tolist())),
        max_loss=max_loss,
        before=measured.before,
        outcomes=measured.outcomes,
    )


def _write(out: Path, report: Report, bundles: Mapping[str, tuple[Contents, Manifest]]) -> None:
    with whole_folder(out, COMPRESSED) as folder:
        for way, (contents, manifest) in bundles.items():
            write_bundle(folder / way, contents, manifest)
        (folder / REPORT).write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
        if can_draw():
            from model.compression.picture import draw

            draw(report, folder / PICTURE)


def _refuse(bundle: Bundle, dataset: Dataset, out: Path, ways: tuple[str, ...]) -> None:
    for way in ways:
        steps_of(way)
    refuse_kind(kind_of(bundle))
    trained_on = bundle.manifest.training
    if dataset.info.fingerprint != trained_on.fingerprint:
        msg = (
            f"{bundle.path} was trained on other behaviours than those of {dataset.path}: give the data set "
            f"{trained_on.dataset} as it was then, or train the model again"
        )
        raise CompressionError(msg)
    check_replaceable(out, COMPRESSED)


def _manifest(bundle: Bundle, outcome: Outcome, metrics: Mapping[str, float], created_at: datetime) -> Manifest:
    of = bundle.manifest
    return replace(
        of,
        version=f"{created_at.strftime('%Y%m%dT%H%M%S')}-{outcome.way.replace('+', '-')}",
        created_at=created_at.isoformat(timespec="seconds"),
        metrics={**of.metrics, **metrics},
        compression=Compression(
            how=outcome.way,
            hash=bundle.hash,
            name=of.name,
            version=of.version,
            ndcg_lost=round(outcome.ndcg_lost, 6),
            faster=round(outcome.faster, 3),
        ),
    )


def _contents(bundle: Bundle, model: bytes) -> Contents:
    """Return the bundle's contents with another model; items and neighbours stay the same."""
    return Contents(
        model=model,
        vocabulary=bundle.vocabulary,
        titles=bundle.titles,
        groups=bundle.groups,
        neighbors=bundle.neighbors,
        popularity=bundle.popularity,
    )

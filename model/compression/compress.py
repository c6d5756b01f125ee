"""Compress a bundle by several methods, measure each result beside it, and write those that lose little enough.

Each method gives a bundle with the same contract, which the job serves like any other. Steps that train use the
behaviours before the bundle's cut-off; accuracy is measured on those after it. The results are written at the end, in
one piece, or not at all.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path

import msgspec

from model.bundles.bundle import Bundle, Compression, Contents, load_module, write_bundle
from model.bundles.bundle_files import FILES, MANIFEST, MODEL
from model.bundles.manifest import PROTOCOL
from model.bundles.torchscript import load_script
from model.compression.measure import Served, measure
from model.compression.methods import CompressionError, refuse_kind, refuse_unused, steps_of
from model.compression.outcomes import Report
from model.compression.rebuild import kind_of
from model.compression.steps import Compressor, Shrinking
from model.datasets.interactions import load_interactions
from model.datasets.prepared import Dataset
from model.evaluation.evaluate import Evaluation, find_targets
from model.fit import metrics_of
from model.folders import FolderKind, check_replaceable, whole_folder
from model.pictures import can_draw
from model.recommenders.kinds import Progress

REPORT = "compression.json"
PICTURE = "compression.png"
_COMPRESSED = FolderKind(
    "a folder of compressed bundles",
    REPORT,
    frozenset({"outcomes", "max_loss"}),
    (REPORT, PICTURE, *(f"*/{name}" for name in (MANIFEST, *FILES))),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressing:
    """The request: the methods to try and the loss to accept.

    Attributes:
        methods: as `model.compression.methods` reads them.
        max_loss: share of NDCG@10 that may be lost; a method that loses more is refused.
        shrinking: options of the steps that train.
        created_at: time zone aware; the bundles' versions begin with it.
    """

    methods: tuple[str, ...]
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
        CompressionError: the bundle cannot be compressed by such a method, an option has no effect on any of them, the
            data set is another one, no user does anything new after the bundle's cut-off, or the bundle predicts none
            of it.
        BundleDeviceError: int8 is asked for, and this CPU does not multiply 8-bit integers exactly.
        FolderError: `out` holds something else, or its name is no folder's name.
    """
    _refuse(bundle, dataset, out, wanted)
    cut_off = bundle.manifest.training.cut_off
    progress("reading")
    log = load_interactions(dataset).with_vocabulary(bundle.vocabulary)
    targets = find_targets(log, cut_off, bundle.manifest.history_length)
    if not len(targets):
        msg = f"no user does anything new after the bundle's cut-off {cut_off}: what is lost cannot be measured"
        raise CompressionError(msg)
    compressor = Compressor(bundle, log.before(cut_off), wanted.shrinking, progress)
    scripts = {method: compressor.script(method) for method in wanted.methods}
    compressed = {method: Served(len(script), load_script(script, "cpu")) for method, script in scripts.items()}
    before = Served((bundle.path / MODEL).stat().st_size, load_module(bundle, "cpu"))
    measured = measure(before, compressed, targets, wanted.max_loss, progress)
    report = Report(
        bundle=str(bundle.path),
        hash=bundle.hash,
        recommender=kind_of(bundle),
        dataset=dataset.info.name,
        protocol=PROTOCOL,
        targets=len(targets),
        users=len(set(targets.user.tolist())),
        max_loss=wanted.max_loss,
        before=measured.before,
        outcomes=measured.outcomes,
    )
    if report.kept:
        progress("writing the bundles")
        _write(out, report, bundle, scripts, measured.evaluations, wanted.created_at)
    return report


def _refuse(bundle: Bundle, dataset: Dataset, out: Path, wanted: Compressing) -> None:
    steps = [step for method in wanted.methods for step in steps_of(method)]
    refuse_unused(steps, asdict(wanted.shrinking))
    refuse_kind(kind_of(bundle))
    if "cells" in steps and kind_of(bundle) == "hybrid":
        msg = "cells: a hybrid adds up its members' scores of all items, so cells would save nothing; leave it out"
        raise CompressionError(msg)
    trained_on = bundle.manifest.training
    if dataset.info.fingerprint != trained_on.fingerprint:
        msg = (
            f"{bundle.path} was trained on other behaviours than those of {dataset.path}: give the data set "
            f"{trained_on.dataset} as it was then, or train the model again"
        )
        raise CompressionError(msg)
    check_replaceable(out, _COMPRESSED)


def _write(
    out: Path,
    report: Report,
    bundle: Bundle,
    scripts: Mapping[str, bytes],
    evaluations: Mapping[str, Evaluation],
    created_at: datetime,
) -> None:
    """Write the report, its picture and the kept bundles, which share with `bundle` all but model and manifest."""
    original = bundle.manifest
    with whole_folder(out, _COMPRESSED) as folder:
        for outcome in report.kept:
            contents = Contents(
                model=scripts[outcome.way],
                vocabulary=bundle.vocabulary,
                titles=bundle.titles,
                groups=bundle.groups,
                neighbors=bundle.neighbors,
                popularity=bundle.popularity,
            )
            compression = Compression(
                how=outcome.way,
                hash=bundle.hash,
                name=original.name,
                version=original.version,
                ndcg_lost=round(outcome.ndcg_lost, 6),
                faster=round(outcome.faster, 3),
                recall=None if outcome.recall is None else round(outcome.recall, 6),
            )
            manifest = replace(
                original,
                version=f"{created_at.strftime('%Y%m%dT%H%M%S')}-{outcome.way.replace('+', '-')}",
                created_at=created_at.isoformat(timespec="seconds"),
                metrics={**original.metrics, **metrics_of(evaluations[outcome.way])},
                compression=compression,
            )
            write_bundle(folder / outcome.way, contents, manifest)
        (folder / REPORT).write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
        if can_draw():
            from model.compression.picture import draw

            draw(report, folder / PICTURE)

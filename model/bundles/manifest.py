"""The manifest of a bundle, and the errors of bundles."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from model.errors import RecloopError
from model.records import EpochMs

CONTRACT_VERSION = 1
LEAST_RECALL = 0.95
"""The share of the ten best items that a bundle has to find to be registered, unless another one is asked for."""
PROTOCOL = (
    "Time split. A target is a behaviour after the cut-off that enters histories and is about an item new "
    "to its user. The model sees the user's history just before it; later behaviours advance the history. "
    "All items of the vocabulary are ranked, those the user has met are masked, and a target outside the "
    "vocabulary is a miss. 'known' are users with history before the cut-off; 'everyone' adds new users, "
    "from their second behaviour on. No user has more than a tenth of the targets, or three times the median user's."
)
"""The counting rules of a manifest's metrics, as `model.evaluation.evaluate.evaluate` applies them."""


class BundleError(RecloopError):
    """A bundle that cannot be used; the message names the file and the remedy.

    BundleError
    ├── BundleMissingError     there is no bundle, or one of its files is missing
    ├── BundleCorruptError     a file is not what the manifest says
    ├── BundleContractError    it was made for another version of the contract
    ├── BundleEmptyError       it knows no item
    ├── BundleAnswerError      its model's answers break the contract (in `model.bundles.answers`)
    ├── BundleDeviceError      it cannot be computed where it is to be served
    └── BundleRecallError      it scores a part of the items, and misses too many of the best
    """


class BundleMissingError(BundleError):
    """A path without a bundle, or a bundle with a missing file."""


class BundleCorruptError(BundleError):
    """A file with another sha256 or shape than the manifest says."""


class BundleContractError(BundleError):
    """A bundle made for another version of the contract."""


class BundleEmptyError(BundleError):
    """A bundle without items, which has nothing to recommend."""


class BundleDeviceError(BundleError):
    """A bundle whose model cannot be computed on this device."""


class BundleRecallError(BundleError):
    """A bundle that scores a part of the items only, and misses too many of the best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """The training data of a bundle.

    Attributes:
        dataset: name of the data set.
        fingerprint: sha256 of its behaviours.
        cut_off: epoch milliseconds; only older behaviours were used.
        behaviors: number of these behaviours.
    """

    dataset: str
    fingerprint: str
    cut_off: EpochMs
    behaviors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """The origin of a compressed bundle, and the outcome of its compression.

    Attributes:
        how: the method, as `model.compression.methods` reads it.
        hash: hash of the original bundle.
        name: name of the original bundle.
        version: version of the original bundle.
        ndcg_lost: lost share of the original's NDCG@10; negative if this bundle is better.
        faster: users per second on one thread in batches of 64, as a multiple of the original's.
        recall: share of the ten best items that it finds where it scores a part of them; None if it scores all.
    """

    how: str
    hash: str
    name: str
    version: str
    ndcg_lost: float
    faster: float
    recall: float | None = None


def refuse_recall(manifest: "Manifest", least: float = LEAST_RECALL) -> None:
    """Refuse a bundle that scores a part of the items and misses too many of the best.

    Raises:
        BundleRecallError: it finds a smaller share than `least` of the ten best.
    """
    found = None if manifest.compression is None else manifest.compression.recall
    if found is not None and found < least:
        msg = (
            f"{manifest.name} {manifest.version} finds {found:.1%} of the ten best items, and {least:.1%} is asked "
            "for: serve the bundle that it was made of, or give a lower --least-recall"
        )
        raise BundleRecallError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The description of a bundle.

    Attributes:
        name: name of the model.
        recommender: its kind, a name in `model.recommenders.kinds`, followed by the options that it was trained with.
        version: version of this training.
        contract_version: version of the contract that it keeps.
        created_at: ISO 8601, UTC.
        files: name -> sha256 in hex.
        items: n, size of the vocabulary.
        history_length: L, the number of newest items that the model reads.
        k: number of items that it returns.
        neighbors: M, columns of the neighbour table.
        training: its training data.
        metrics: name -> value, as measured after training by `PROTOCOL`.
        compression: the bundle that it was compressed from; None if it is as it was trained.
    """

    name: str
    recommender: str = "sasrec"
    version: str
    contract_version: int = CONTRACT_VERSION
    created_at: str
    history_length: int
    k: int
    training: Training
    metrics: Mapping[str, float] = field(default_factory=dict)
    compression: Compression | None = None
    items: int = 0
    neighbors: int = 0
    files: Mapping[str, str] = field(default_factory=dict)

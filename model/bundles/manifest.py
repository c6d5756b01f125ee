"""The manifest of a bundle, and what can be wrong with a bundle."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from model.errors import RecloopError
from model.records import EpochMs

CONTRACT_VERSION = 1
PROTOCOL = (
    "Time split. A target is a behaviour after the cut-off that enters histories and is about an item new "
    "to its user. The model sees the user's history just before it; later behaviours advance the history. "
    "All items of the vocabulary are ranked, those the user has met are masked, and a target outside the "
    "vocabulary is a miss. 'known' are users with history before the cut-off; 'everyone' adds new users, "
    "from their second behaviour on. No user has more than a tenth of the targets, or three times the median user's."
)
"""How a manifest's metrics are counted: `model.evaluation.evaluate.evaluate`."""


class BundleError(RecloopError):
    """A bundle cannot be used; the message says which file and what to do.

    BundleError
    ├── BundleMissingError     there is no bundle, or one of its files is missing
    ├── BundleCorruptError     a file is not what the manifest says
    ├── BundleContractError    it was made for another version of the contract
    ├── BundleEmptyError       it knows no item
    ├── BundleAnswerError      its model's answers break the contract (in `model.bundles.answers`)
    └── BundleDeviceError      it cannot be computed where it is to be served
    """


class BundleMissingError(BundleError):
    """There is no bundle at the path, or one of its files is missing."""


class BundleCorruptError(BundleError):
    """A file's sha256 or shape is not what the manifest says."""


class BundleContractError(BundleError):
    """The bundle was made for another version of the contract."""


class BundleEmptyError(BundleError):
    """The bundle knows no item, so there is nothing it could recommend."""


class BundleDeviceError(BundleError):
    """The bundle's model cannot be computed on this device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What a bundle was trained on.

    Attributes:
        dataset: name of the data set.
        fingerprint: sha256 of its behaviours.
        cut_off: epoch milliseconds; only older behaviours were used.
        behaviors: how many these were.
    """

    dataset: str
    fingerprint: str
    cut_off: EpochMs
    behaviors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Compression:
    """What a bundle was compressed from, and what came of it.

    Attributes:
        how: the way, as `model.compression.methods` reads it.
        hash: of the bundle that it was made from.
        name: of that bundle.
        version: of that bundle.
        ndcg_lost: share of that bundle's NDCG@10 that was lost; negative if it is better.
        faster: users per second of one thread in batches of 64, as a multiple of that bundle's.
    """

    how: str
    hash: str
    name: str
    version: str
    ndcg_lost: float
    faster: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a bundle is.

    Attributes:
        name: of the model.
        recommender: its kind, a name in `model.recommenders.kinds`, with the options behind it that it was trained
            with.
        version: of this training of it.
        contract_version: of the contract that it keeps.
        created_at: ISO 8601, UTC.
        files: name -> sha256 in hex.
        items: n, size of the vocabulary.
        history_length: L, the newest items that the model looks at.
        k: items it returns.
        neighbors: M, columns of the neighbour table.
        training: what it was trained on.
        metrics: name -> value, as measured after training by `PROTOCOL`.
        compression: what it was compressed from; None if it is as it was trained.
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

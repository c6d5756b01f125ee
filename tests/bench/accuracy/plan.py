"""Who is compared with whom, and the settings each may choose from: the tuning budget, written down.

A contender's choices are tried on the validation with seed 0; the best NDCG@10 is what runs on the test, once per seed.
Recommenders in closed form, and ALS, may choose from up to eight settings, other trained ones from up to three. A
trained peer also chooses its number of epochs among several points of one training, which ours, with their falling
rate, cannot. First in each list of choices stands what is worth trying where there is time for one only (`--choices
1`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.accuracy.task import Options

SEEDS = 3
CHAMPION = "hybrid"
"""The best of ours, by the validation of MovieLens-100K; it was declared before any test was run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """A recommender and its choices.

    Attributes:
        name: a kind of ours, or a peer's `library.model`.
        label: in the table.
        choices: settings to choose from.
        checkpoints: epochs to choose from, of a peer.
        seeded: whether another seed gives another model.
    """

    name: str
    label: str
    choices: tuple[Options, ...] = ({},)
    checkpoints: tuple[int, ...] = (0,)
    seeded: bool = False

    @property
    def is_peer(self) -> bool:
        """Whether it lives in the peers' environment."""
        return "." in self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Recommenders of one kind.

    Attributes:
        name: in the table.
        ours: what recloop has.
        peers: what others have.
        quick: whether it is part of `--quick`.
    """

    name: str
    ours: tuple[Contender, ...]
    peers: tuple[Contender, ...] = ()
    quick: bool = False

    @property
    def contenders(self) -> tuple[Contender, ...]:
        """Peers first: they are what is to be reached."""
        return (*self.peers, *self.ours)


def each(base: Options, **choices: Sequence[object]) -> tuple[Options, ...]:
    """`base` with every combination of the choices."""
    found: list[dict[str, object]] = [dict(base)]
    for name, values in choices.items():
        found = [{**one, name: value} for one in found for value in values]
    return tuple(found)  # type: ignore[arg-type]


_TRANSFORMER: Options = {
    "n_blocks": 2,
    "n_factors": 64,
    "n_heads": 2,
    "session_max_len": 100,
    "dropout_rate": 0.3,
    "batch_size": 32,
    "verbose": 0,
}
_SAMPLED: Options = {**_TRANSFORMER, "loss": "sampled_softmax", "n_negatives": 256}
_EPOCHS = (10, 20, 30, 40, 50)

FAMILIES: tuple[Family, ...] = (
    Family(
        name="popularity",
        ours=(
            Contender(name="popularity", label="faded counts", choices=each({}, half_life_days=(7.0, 30.0, 90.0, 1e6))),
        ),
        peers=(Contender(name="rectools.popular", label="RecTools", choices=each({}, days=(7, 30, 90, None))),),
        quick=True,
    ),
    Family(
        name="item-cf",
        ours=(
            Contender(
                name="item-cf",
                label="item-cf",
                choices=each({}, neighbors=(50, 100), power=(0.7, 0.8), decay=(0.9, 0.85)),
            ),
        ),
        peers=(
            Contender(
                name="implicit.neighbors",
                label="implicit, recency weights ours",
                choices=each({"K": 100}, weighting=("cosine", "bm25"), decay=(1.0, 0.95, 0.9, 0.85)),
            ),
        ),
        quick=True,
    ),
    Family(name="user-cf", ours=(Contender(name="user-cf", label="user-cf"),), quick=True),
    Family(name="text", ours=(Contender(name="text", label="text"),), quick=True),
    Family(
        name="als",
        ours=(Contender(name="als", label="als", choices=each({}, alpha=(5.0, 20.0), l2=(10.0, 50.0)), seeded=True),),
        peers=(
            Contender(
                name="implicit.als",
                label="implicit",
                choices=each({"factors": 64}, alpha=(1.0, 5.0, 20.0, 40.0), regularization=(0.01, 50.0)),
                checkpoints=(15,),
                seeded=True,
            ),
        ),
        quick=True,
    ),
    Family(
        name="bpr",
        ours=(Contender(name="bpr", label="bpr", seeded=True),),
        peers=(
            Contender(
                name="implicit.bpr",
                label="implicit",
                choices=each({"factors": 64}, learning_rate=(0.01, 0.05)),
                checkpoints=(50, 100, 200),
                seeded=True,
            ),
        ),
        quick=True,
    ),
    Family(
        name="ease",
        ours=(
            Contender(name="ease", label="ease", choices=each({}, l2=(100.0, 200.0, 500.0))),
            Contender(
                name="slit",
                label="slit",
                choices=({"l2": 300.0, "decay": 0.94}, {"l2": 600.0, "decay": 0.94}, {"l2": 600.0, "decay": 0.9}),
            ),
        ),
        peers=(Contender(name="rectools.ease", label="RecTools", choices=each({}, regularization=(100, 200, 500))),),
        quick=True,
    ),
    Family(
        name="sasrec",
        ours=(
            Contender(
                name="sasrec",
                label="sasrec",
                choices=({"dropout": 0.4, "epochs": 28, "negatives": 256}, {"dropout": 0.4, "epochs": 28}, {}),
                seeded=True,
            ),
        ),
        peers=(
            Contender(
                name="rectools.sasrec",
                label="RecTools",
                choices=(_SAMPLED, {**_TRANSFORMER, "loss": "softmax"}, {**_SAMPLED, "ligr": True}),
                checkpoints=_EPOCHS,
                seeded=True,
            ),
        ),
    ),
    Family(name="hybrid", ours=(Contender(name="hybrid", label="hybrid", seeded=True),)),
    Family(
        name="recurrent",
        ours=(
            Contender(name="gru", label="gru", seeded=True),
            Contender(name="linear-recurrence", label="linear-recurrence", seeded=True),
        ),
    ),
    Family(
        name="lightgcn",
        ours=(Contender(name="lightgcn", label="lightgcn", seeded=True),),
        peers=(
            Contender(
                name="recbole.lightgcn",
                label="RecBole",
                choices=each(
                    {"embedding_size": 64, "n_layers": 2, "train_batch_size": 2048}, learning_rate=(1e-3, 5e-3)
                ),
                checkpoints=(10, 20, 40, 60),
                seeded=True,
            ),
        ),
    ),
    Family(
        name="hstu",
        ours=(Contender(name="hstu", label="hstu", seeded=True),),
        peers=(
            Contender(
                name="rectools.hstu",
                label="RecTools",
                choices=({**_TRANSFORMER, "loss": "softmax"},),
                checkpoints=_EPOCHS,
                seeded=True,
            ),
        ),
    ),
)

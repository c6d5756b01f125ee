"""How large a bench is: the full one, the quick one, and the smallest that still measures something."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The sizes and times of all parts.

    Attributes:
        name: full, quick or smallest.
        users: who act, in all parts but those about the number of users.
        items: in the model's vocabulary.
        past: behaviours that were there before anything is timed: they make the histories.
        timed: behaviours that wait to be read when timing begins.
        warm_s: from a contender's first list until it is timed.
        timed_s: for how long it is timed.
        batch_sizes: that the model alone is tried with.
        model_s: for how long each of them is timed.
        idle_samples: behaviours at 5 a second.
        load_s: for how long each load is kept up.
        few_users: the small state of the cost comparison.
        many_users: the large one.
        state_users: users whose state is weighed.
        state_events: behaviours of each of them.
        variants: whether contenders are tried in each of their forms; else peers in the one that was best in full runs,
            and the job as it is set.
    """

    name: str = "full"
    users: int = 1_000
    items: int = 10_000
    past: int = 50_000
    timed: int = 1_000_000
    warm_s: float = 10.0
    timed_s: float = 60.0
    batch_sizes: tuple[int, ...] = (8, 16, 32, 64, 128, 256)
    model_s: float = 5.0
    idle_samples: int = 2_000
    load_s: float = 60.0
    few_users: int = 1_000
    many_users: int = 1_000_000
    state_users: int = 20_000
    state_events: int = 20
    variants: bool = True


FULL = Scale()
QUICK = Scale(
    name="quick",
    timed=250_000,
    warm_s=3.0,
    timed_s=10.0,
    batch_sizes=(16, 32, 64),
    model_s=2.0,
    idle_samples=150,
    load_s=10.0,
    many_users=50_000,
    state_users=3_000,
    variants=False,
)
SMALLEST = Scale(
    name="smallest",
    users=50,
    items=500,
    past=1_000,
    timed=60_000,
    warm_s=1.0,
    timed_s=4.0,
    batch_sizes=(16, 64),
    model_s=0.5,
    idle_samples=20,
    load_s=3.0,
    few_users=50,
    many_users=500,
    state_users=500,
    state_events=20,
    variants=False,
)

"""The sizes of a bench: full, quick, and the smallest that still measures something."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The sizes and times of all parts.

    Attributes:
        name: full, quick or smallest.
        users: the users who act, in all parts but those about the number of users.
        items: items in the model's vocabulary.
        past: behaviours before timing begins, which make the histories.
        timed: behaviours in the log, still to be read, when timing begins.
        warm_s: the time from a contender's first list until it is timed.
        timed_s: the time for which it is timed.
        batch_sizes: the batch sizes that the model alone is tried with.
        model_s: the time for which each of them is timed.
        idle_samples: behaviours at 5 a second.
        load_s: the time for which each load lasts.
        few_users: users in the small state of the cost comparison.
        many_users: users in the large state.
        state_users: users whose state size is measured.
        state_events: behaviours of each of them.
        served_users: lists in the store that reads are measured on.
        serving_s: the time for which each load of reads lasts.
        big_users: users of the big model.
        big_items: its items.
        big_timed: behaviours in its log when timing begins.
        catalogues: sizes of catalogues, the smallest first.
        variants: whether contenders are tried in each of their forms; else plain PyFlink is tried in the form that was
            best in full runs, and the job with its own settings.
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
    served_users: int = 100_000
    serving_s: float = 20.0
    big_users: int = 100
    big_items: int = 100_000
    big_timed: int = 30_000
    catalogues: tuple[int, ...] = (10_000, 100_000, 1_000_000)
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
    serving_s=5.0,
    catalogues=(10_000, 100_000),
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
    served_users=500,
    serving_s=1.0,
    big_users=20,
    big_items=2_000,
    big_timed=5_000,
    catalogues=(2_000, 20_000),
    variants=False,
)

"""What learning on is worth: the same lists at every behaviour, by a model that is trained never, daily, hourly, all
the time. `python -m tests.bench.learning DATASET BUNDLE` prints the table of docs/learning.md.

No Flink: a list after each behaviour is what the model that serves then answers to the history by then, which is what
the job makes with preset=replayable (tests/job/test_live_evaluation.py). The rounds are those of `recloop learn`.
"""

import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
import typer

from model.bundles.bundle import Bundle, load_module
from model.datasets.interactions import Interactions, Ints, load_interactions
from model.datasets.prepared import Dataset
from model.evaluation.evaluate import Gains, rank, targets_at
from model.evaluation.freshness import Act, Question, Refresh, Serving, Trace, look_up
from model.evaluation.measures import Interval, paired_bootstrap
from model.learning.candidate import Asked, Lessons, Named, write_candidate
from model.learning.gate import Bounds, judge
from model.learning.measured import evidence_of
from model.learning.rounds import NothingNewError, Pace, is_due, round_of

DAY_MS, HOUR_MS = 86_400_000, 3_600_000
BEHAVIOUR = Refresh("behaviour", 1)
ENDLESS = 1 << 60


@dataclass(frozen=True)
class Plan:
    """A way of learning: when rounds are due, and the gate, if there is one."""

    name: str
    pace: Pace
    bounds: Bounds | None = None
    lessons: Lessons = field(default_factory=Lessons)


def plan(name: str, *, every: int = ENDLESS, behaviors: int = ENDLESS, held_out: int = 1, **more: object) -> Plan:
    pace = Pace(every_ms=every, behaviors=behaviors, held_out=held_out, window_ms=ENDLESS)
    return Plan(name, pace, **more)  # type: ignore[arg-type]


@dataclass
class Outcome:
    """What came out of one plan."""

    name: str
    rounds: int = 0
    promoted: int = 0
    cpu_s: float = 0.0
    hr: float = 0.0
    ndcg: float = 0.0
    coverage: float = 0.0
    churn: float = 0.0
    hits: Gains = field(default_factory=lambda: np.zeros(0))


def times_of(log: Interactions, cut_off: int, pace: Pace) -> Iterator[int]:
    """Moments at which a round is due: the boundaries of a period, or each so many behaviours."""
    after = log.timestamp[log.timestamp >= cut_off]
    last, done = cut_off, int((log.timestamp < cut_off).sum())
    marks = after if pace.every_ms == ENDLESS else np.unique(after // pace.every_ms + 1) * pace.every_ms
    for at in np.unique(marks).tolist():
        known = int((log.timestamp < at).sum())
        if is_due(known - done, int(at) - last, pace):
            last, done = int(at), known
            yield int(at)


def models(log: Interactions, first: Bundle, asked: Plan, folder: Path, out: Outcome) -> Iterator[tuple[int, Bundle]]:
    """Each model that serves, with the time from which it does."""
    served = first
    yield 0, served
    for number, at in enumerate(times_of(log, first.manifest.training.cut_off, asked.pace)):
        known = log.before(at)
        started = time.process_time()
        try:
            split = round_of(known, served.manifest.training.cut_off, asked.pace)
        except NothingNewError:
            continue
        if asked.bounds is None:  # nothing is held out
            split = replace(split, cut_off=at, training=np.ones(len(known), dtype=np.bool_))
        named = Named(name="learned", version=f"v{number}", created_at=datetime.now(UTC), source="bench")
        candidate = write_candidate(folder / f"v{number}", Asked(known, split, served, asked.lessons, named))
        passed = (
            asked.bounds is None or judge(evidence_of(candidate, served, known, split.cut_off), asked.bounds).promoted
        )
        out.rounds += 1
        out.cpu_s += time.process_time() - started
        if passed:
            out.promoted += 1
            served = candidate
            yield at, served


def lists_by(bundle: Bundle, log: Interactions, rows: Ints) -> list[tuple[str, ...]]:
    """The model's list after each of the rows."""
    # A list after a row is that before a row that follows it: the log with each row twice, the second being asked for.
    own = log.with_vocabulary(bundle.vocabulary)
    module = load_module(bundle, "cpu")
    twice = np.repeat(np.arange(len(own)), 2)
    asked = own.where(np.ones(len(own), dtype=np.bool_))
    asked = replace(
        asked,
        user=own.user[twice],
        item=np.where(np.arange(len(twice)) % 2, 0, own.item[twice]),
        weight=own.weight[twice],
        in_history=own.in_history[twice],
        timestamp=own.timestamp[twice],
    )
    order = np.lexsort((rows, own.user[rows]))  # those of a user together
    ranking = rank(module, targets_at(asked, 2 * rows[order] + 1, bundle.manifest.history_length))
    names = np.array(("", *bundle.vocabulary), dtype=object)
    found: list[tuple[str, ...]] = [()] * len(rows)
    for place, items in zip(order.tolist(), ranking.items[:, :30], strict=True):
        found[place] = tuple(names[items[items > 0]].tolist())
    return found


def traces(log: Interactions, served: list[tuple[int, Bundle]], cut_off: int) -> list[Trace]:
    """Each user's behaviours and lists; of those before the cut-off the newest."""
    needed = [rows[max(0, int(np.searchsorted(log.timestamp[rows], cut_off)) - 1) :] for _, rows in log.rows_by_user()]
    every = np.sort(np.concatenate(needed))
    starts = np.array([at for at, _ in served])
    by = np.searchsorted(starts, log.timestamp[every], side="right") - 1
    lists: dict[int, tuple[str, ...]] = {}
    for number, (_, bundle) in enumerate(served):
        rows = every[by == number]
        if len(rows):
            lists |= dict(zip(rows.tolist(), lists_by(bundle, log, rows), strict=True))
    found = []
    for (_, rows), own in zip(log.rows_by_user(), needed, strict=True):
        items = [log.vocabulary[i - 1] for i in log.item[rows].tolist()]
        enters, at = log.in_history[rows].tolist(), log.timestamp[rows].tolist()
        acts = [Act(i, t, e, makes_known=True) for i, t, e in zip(items, at, enters, strict=True)]
        found.append(Trace(acts, log.timestamp[own].tolist(), [lists[row] for row in own.tolist()]))
    return found


def measure(log: Interactions, first: Bundle, asked: Plan) -> tuple[Outcome, Ints]:
    out = Outcome(asked.name)
    cut_off = first.manifest.training.cut_off
    with TemporaryDirectory(prefix="learning-") as folder:
        served = list(models(log, first, asked, Path(folder), out))
        popular = tuple(item for item, _ in first.popularity)
        looked = look_up(traces(log, served, cut_off), Question(cut_off, popular, refreshes=(BEHAVIOUR,)))
    found = looked.found["behaviour", Serving.STORED]
    out.hits = found.ranking.hits(10).astype(float)
    out.hr, out.ndcg = float(out.hits.mean()), float(found.ranking.gains(10).mean())
    out.coverage, out.churn = len(found.listed) / len(log.vocabulary), found.churn
    return out, looked.user


PLANS = {
    each.name: each
    for each in (
        plan("never"),
        plan("daily", every=DAY_MS),
        plan("hourly", every=HOUR_MS),
        plan("continuous", behaviors=500),
        plan("daily, gate", every=DAY_MS, held_out=500, bounds=Bounds()),
        plan("hourly, gate", every=HOUR_MS, held_out=500, bounds=Bounds()),
        plan("daily, better only", every=DAY_MS, held_out=500, bounds=Bounds(worse_by=0.0)),
        plan("daily, full rate", every=DAY_MS, lessons=Lessons(rate=1.0)),
        plan("daily, tenth of the rate", every=DAY_MS, lessons=Lessons(rate=0.1)),
        plan("daily, tenth of the rate, gate", every=DAY_MS, held_out=500, bounds=Bounds(), lessons=Lessons(rate=0.1)),
        plan("weekly, retrained", every=7 * DAY_MS, lessons=Lessons(method="retrain")),
    )
}


def main(dataset: Path, bundle: Path, days: float = 1e6, only: str = "", out: Path | None = None) -> None:
    """Measure each plan, or those named, on the first days after the bundle's cut-off."""
    torch.set_num_threads(1)
    first, log = Bundle.load(bundle), load_interactions(Dataset.open(dataset))
    log = log.before(first.manifest.training.cut_off + int(days * DAY_MS))
    base: Outcome | None = None
    for name in only.split("/") if only else PLANS:
        found, user = measure(log, first, PLANS[name])
        base = base or found
        gain = Interval(0, 0, 0) if base is found else paired_bootstrap(found.hits, base.hits, user)
        line = {**asdict(found), "targets": len(found.hits), "gain": asdict(gain)}
        del line["hits"]
        print(json.dumps(line), flush=True)
        if out is not None:
            with out.open("a") as file:
                file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    typer.run(main)

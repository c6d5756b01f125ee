"""A model that keeps learning: when a round is due and what it trains on, the gate, and a start from other weights."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model.bundles.bundle import Bundle, Manifest, Training, load_module, write_bundle
from model.bundles.export import contents_of
from model.datasets.interactions import Interactions, training_vocabulary
from model.evaluation.measures import Interval
from model.learning.candidate import Asked, Lessons, Named, write_candidate
from model.learning.gate import Bounds, Evidence, Side, judge
from model.learning.measured import evidence_of
from model.learning.rounds import NothingNewError, Pace, is_due, round_of, tuning_rows
from model.networks.gru import GRUConfig
from model.networks.linear_recurrence import LinearRecurrenceConfig
from model.networks.sasrec import SASRecConfig
from model.networks.sequence import SequenceConfig
from model.recommenders.kinds import Size, TrainingSet, kind_named
from model.training.member import name_of
from model.training.train import train
from model.training.train_config import Start, TrainConfig
from model.training.warm_start import start_from
from tests.unit.model.test_training import ITEMS, cycles, log_of

pytestmark = pytest.mark.heavy
SHARES = st.floats(0, 1, allow_nan=False)
COUNTS = st.integers(0, 10_000)
PACES = st.builds(
    Pace,
    every_ms=st.integers(1, 1_000),
    behaviors=st.integers(1, 1_000),
    held_out=st.integers(1, 1_000),
    window_ms=st.integers(1, 1_000),
)
SIDES = st.builds(Side, hr=SHARES, ndcg=SHARES, listed=COUNTS, batch_ms=st.floats(0.1, 100))
INTERVALS = st.lists(st.floats(-1, 1), min_size=3, max_size=3).map(
    lambda three: Interval(sorted(three)[1], sorted(three)[0], sorted(three)[2])
)
FOUND = st.builds(
    Evidence, targets=COUNTS, users=COUNTS, candidate=SIDES, served=SIDES, gain=INTERVALS, fault=st.none()
)
BOUNDS = st.builds(
    Bounds, worse_by=SHARES, least_coverage=SHARES, slowest=st.floats(1, 10), least_targets=st.integers(1, 500)
)


@given(pace=PACES, waits=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 400)), max_size=60))
def test_no_behaviour_is_held_out_for_two_rounds(pace: Pace, waits: list[tuple[int, int]]) -> None:
    new = elapsed = 0
    for behaviors, ms in waits:
        new, elapsed = new + behaviors, elapsed + ms
        due = is_due(new, elapsed, pace)
        assert due == (new >= pace.held_out and (new >= pace.behaviors or elapsed >= pace.every_ms))
        if due:
            assert new >= pace.held_out  # all that is held out now came after the round before
            new = elapsed = 0


@st.composite
def logs(draw: st.DrawFn) -> Interactions:
    rows = draw(
        st.lists(st.tuples(st.integers(0, 5), st.integers(1, ITEMS), st.integers(0, 60)), min_size=1, max_size=80)
    )
    return log_of(sorted(rows, key=lambda row: row[2]))


@given(log=logs(), served=st.integers(0, 61), pace=PACES)
def test_a_round_trains_on_the_window_and_holds_out_what_is_newer(log: Interactions, served: int, pace: Pace) -> None:
    pace = replace(pace, held_out=min(pace.held_out, 40))
    try:
        found = round_of(log, served, pace)
    except NothingNewError:
        cut_off = log.timestamp[max(0, len(log) - pace.held_out)]
        inside = (log.timestamp >= max(served, cut_off - pace.window_ms)) & (log.timestamp < cut_off)
        assert not inside.any()
        return
    held_out = log.timestamp >= found.cut_off
    assert not (held_out & found.training).any()
    assert held_out.sum() >= min(pace.held_out, len(log))
    assert found.cut_off > served  # or the served model would be judged by what it was trained on
    assert (log.timestamp[found.training] >= found.cut_off - pace.window_ms).all()
    forgotten = ~held_out & ~found.training
    assert (log.timestamp[forgotten] < found.cut_off - pace.window_ms).all()


@given(log=logs(), since=st.integers(0, 61), length=st.integers(1, 9), seed=st.integers(0, 9))
def test_a_fine_tuning_has_all_that_is_new_and_as_many_other_users(
    log: Interactions, since: int, length: int, seed: int
) -> None:
    every = np.ones(len(log), dtype=np.bool_)
    chosen = tuning_rows(log, every, since, length, seed)
    assert (chosen == tuning_rows(log, every, since, length, seed)).all()
    users = {user: rows for user, rows in log.rows_by_user() if len(rows) > 1}
    new = {user for user, rows in users.items() if log.timestamp[rows[-1]] >= since}
    for user in new:
        rows = users[user]
        assert chosen[rows[log.timestamp[rows] >= since]].all()
        older = int((log.timestamp[rows] < since).sum())
        assert chosen[rows].sum() == len(rows) - older + min(length, older)
    others = {user for user in users.keys() - new if chosen[users[user]].any()}
    assert len(others) == min(len(new), len(users) - len(new))
    assert all(chosen[users[user]].sum() == min(length + 1, len(users[user])) for user in others)


@given(found=FOUND, bounds=BOUNDS)
def test_what_passes_the_gate_is_within_every_bound(found: Evidence, bounds: Bounds) -> None:
    verdict = judge(found, bounds)
    within = (
        found.targets >= bounds.least_targets
        and found.gain.low >= -bounds.worse_by * found.served.ndcg
        and (found.gain.low > 0 or bounds.worse_by > 0)
        and found.candidate.listed >= bounds.least_coverage * found.served.listed
        and found.candidate.batch_ms <= bounds.slowest * found.served.batch_ms
    )
    assert verdict.promoted == within
    assert verdict.reason


@given(found=FOUND, bounds=BOUNDS, more=SHARES)
def test_a_better_candidate_passes_where_a_worse_one_does(found: Evidence, bounds: Bounds, more: float) -> None:
    gain = Interval(found.gain.difference + more, found.gain.low + more, found.gain.high + more)
    if judge(found, bounds).promoted:
        assert judge(replace(found, gain=gain), bounds).promoted
        assert judge(found, replace(bounds, worse_by=min(1.0, bounds.worse_by + more + 1e-9))).promoted


@given(found=FOUND, bounds=BOUNDS, place=st.sampled_from(["gain", "candidate", "served"]))
def test_what_is_no_number_or_cannot_be_served_passes_no_gate(found: Evidence, bounds: Bounds, place: str) -> None:
    nan = float("nan")
    broken = {
        "gain": Interval(nan, nan, nan),
        "candidate": replace(found.candidate, batch_ms=nan),
        "served": replace(found.served, ndcg=nan),
    }
    assert not judge(replace(found, **{place: broken[place]}), bounds).promoted  # type: ignore[arg-type]
    assert "boom" in judge(replace(found, fault="boom"), bounds).reason


def test_an_equal_candidate_passes_unless_it_has_to_be_better() -> None:
    side = Side(hr=0.2, ndcg=0.1, listed=50, batch_ms=2.0)
    same = Evidence(targets=500, users=50, candidate=side, served=side, gain=Interval(0.0, 0.0, 0.0))
    assert judge(same, Bounds()).promoted
    assert not judge(same, Bounds(worse_by=0.0)).promoted


CONFIGS: list[type[SequenceConfig]] = [SASRecConfig, GRUConfig, LinearRecurrenceConfig]


@pytest.mark.parametrize("kind", CONFIGS)
def test_known_items_score_as_before_whatever_rows_they_have_now(kind: type[SequenceConfig]) -> None:
    torch.manual_seed(0)
    before = kind(items=6, history_length=5, dim=8).build(np.array([0, 1, 2, 3, 4, 5, 6])).eval()
    vocabulary = ("new", "f", "e", "d", "newer", "c", "b", "a")
    after = kind(items=8, history_length=5, dim=8).build(np.ones(9, dtype=np.int64)).eval()
    start_from(after, vocabulary, Start("before", ("a", "b", "c", "d", "e", "f"), before.state_dict()))
    place = [0, *(vocabulary.index(item) + 1 for item in "abcdef")]
    history = torch.tensor([[0, 0, 1, 2, 3], [6, 5, 4, 3, 2]])
    ones = torch.ones(history.shape)
    with torch.inference_mode():
        was = before.scores(history, ones, ones)
        now = after.scores(torch.tensor(place)[history], ones, ones)
    torch.testing.assert_close(now[:, place][:, 1:], was[:, 1:])
    new = [vocabulary.index(item) + 1 for item in ("new", "newer")]
    assert (after.bias[new] <= before.bias[1:].max()).all()


def test_a_warm_start_is_quicker_and_another_training() -> None:
    log = cycles(users=24, length=9)
    config = SASRecConfig(items=ITEMS, history_length=4, dim=16, dropout=0.0)
    settings = TrainConfig(epochs=12, batch_size=12, learning_rate=2e-2)
    losses: list[float] = []
    model = train(log, config, settings, lambda done: losses.append(done.loss))
    start = Start("earlier", log.vocabulary, model.state_dict())
    again: list[float] = []
    one = replace(settings, epochs=1, learning_rate=1e-3, start=start)
    train(log, config, one, lambda done: again.append(done.loss))
    assert again[0] < losses[0] / 2
    names = {
        name_of([], config, each)
        for each in (replace(one, start=None), one, replace(one, start=replace(start, name="b")))
    }
    assert len(names) == 3


def served_bundle(folder: Path, log: Interactions, cut_off: int, kind: str) -> Bundle:
    """A bundle of a kind, trained on what is older than the cut-off."""
    training = log.before(cut_off)
    training = training.with_vocabulary(training_vocabulary(training))
    settings = TrainConfig(epochs=1, batch_size=12)
    learned = kind_named(kind).learn(TrainingSet(training, training.vocabulary), Size(dim=16, k=ITEMS), settings, print)
    known = Training(dataset="d", fingerprint="f", cut_off=cut_off, behaviors=len(training))
    manifest = Manifest(
        name="m",
        recommender=kind,
        version="1",
        created_at="",
        history_length=50,
        k=learned.recommender.k,
        training=known,
    )
    return write_bundle(folder, contents_of(learned, training, {}), manifest)


@pytest.mark.parametrize(
    ("kind", "method"), [("gru", "tune"), ("sasrec", "tune"), ("sasrec", "retrain"), ("slit", "tune")]
)
def test_a_candidate_knows_new_items_and_is_better_where_there_is_something_to_learn(
    kind: str, method: str, tmp_path: Path
) -> None:
    # From time 20 on everybody walks round the items; before, each user had three at random, and no item above 9.
    random = np.random.default_rng(0)
    early = [(user, int(random.integers(1, 10)), t) for t in range(3) for user in range(20)]
    late = [(100 + user, (user + t) % ITEMS + 1, 20 + t) for t in range(9) for user in range(3 * ITEMS)]
    log = log_of([*early, *late])
    served = served_bundle(tmp_path / "served", log, 20, kind)
    pace = Pace(every_ms=1, behaviors=1, held_out=3 * ITEMS * 3, window_ms=1_000)
    split = round_of(log, served.manifest.training.cut_off, pace)
    lessons = Lessons(method=method, epochs=40, rate=1.0)  # type: ignore[arg-type]
    named = Named(name="m", version="2", created_at=datetime.now(UTC), source="log")
    asked = Asked(log, split, served, lessons, named, checkpoints=tmp_path / "training")
    candidate = write_candidate(tmp_path / "candidate", asked)
    assert set(candidate.vocabulary) == set(log.vocabulary) > set(served.vocabulary)
    assert candidate.manifest.recommender == kind
    assert candidate.manifest.training.cut_off == split.cut_off
    assert not (tmp_path / "training").exists()
    found = evidence_of(candidate, served, log, split.cut_off)
    assert found.fault is None
    assert judge(found, Bounds(worse_by=0.0, least_targets=50, slowest=1e6)).promoted, found
    assert not judge(evidence_of(served, candidate, log, split.cut_off), Bounds(least_targets=50, slowest=1e6)).promoted
    assert load_module(candidate).k >= load_module(served).k


def test_a_window_forgets_items_that_nobody_met_in_it(tmp_path: Path) -> None:
    log = log_of(
        [
            *((user, 1 + user % 3, 0) for user in range(9)),
            *((u, 4 + (u + t) % 5, 50 + t) for t in range(9) for u in range(9)),
        ]
    )
    served = served_bundle(tmp_path / "served", log, 52, "popularity")
    split = round_of(log, 52, Pace(every_ms=1, behaviors=1, held_out=9, window_ms=20))
    named = Named(name="m", version="2", created_at=datetime.now(UTC), source="log")
    candidate = write_candidate(tmp_path / "candidate", Asked(log, split, served, Lessons(), named))
    assert {"i1", "i2", "i3"} <= set(served.vocabulary)
    assert set(candidate.vocabulary) == {"i4", "i5", "i6", "i7", "i8"}

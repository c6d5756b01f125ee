"""The store of scores: what it answers, what becomes of it, and that an answer is never wrong."""

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from shutil import rmtree

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model.bundles.bundle import Bundle
from model.networks.sasrec import SASRec, SASRecConfig
from model.waiting import wait_until
from tests.unit.udfs.default_rules import CACHE, SCORING
from tests.unit.udfs.examples import hashes
from tests.unit.udfs.small_bundle import COUNTS, IDS, ITEMS, write
from tests.unit.udfs.test_scoring import tracked
from udfs.elements import Candidates, ScoredBy, TrackedBehavior
from udfs.scoring.device import OnCpu
from udfs.scoring.score_cache import ScoreCache, Scores
from udfs.scoring.scorer import Scorer
from udfs.scoring.scoring_rules import CacheRules

pytestmark = pytest.mark.heavy
RULES = SCORING
MEBIBYTE = 1 << 20


@pytest.fixture(autouse=True)
def _scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture(scope="module")
def sasrec(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    torch.manual_seed(0)
    model = SASRec(SASRecConfig(items=ITEMS, history_length=5, dim=8, heads=1, layers=1, k=ITEMS), COUNTS)
    return write(tmp_path_factory.mktemp("bundle") / "sasrec", model)


@pytest.fixture
def cache() -> Iterator[ScoreCache]:
    cache = ScoreCache(replace(CACHE, megabytes=1))
    yield cache
    cache.close()


def methods(answers: Sequence[Candidates]) -> list[ScoredBy]:
    return [answer.scored_by for answer in answers]


def answer(seed: int) -> Scores:
    random = np.random.default_rng(seed)
    return Scores(random.integers(1, 99, 20), random.random(20, dtype=np.float32))


def key(number: int) -> bytes:
    return number.to_bytes(16, "big")


def test_the_same_question_is_asked_once(sasrec: Bundle, cache: ScoreCache) -> None:
    scorer = Scorer(sasrec, RULES, cache=cache)
    first, second = tracked("i1", "i2"), tracked("i3", excluded=hashes(*IDS[4:7]))
    (before,) = scorer.score([first])
    again, other = scorer.score([first, second])
    assert methods([before, again, other]) == [ScoredBy.FULL, ScoredBy.CACHE, ScoredBy.FULL]
    assert (again.items, again.packed_scores) == (before.items, before.packed_scores)
    assert other.items == Scorer(sasrec, RULES).score([second])[0].items


@pytest.mark.parametrize(
    "other",
    [
        tracked("i2", "i1"),
        tracked("i1", "i2", ages_s=[1, 0]),
        tracked("i1", "i2", actions="cart"),
        tracked("i1", "i2", excluded=hashes("i9")),
    ],
)
def test_another_question_is_asked_anew(sasrec: Bundle, cache: ScoreCache, other: TrackedBehavior) -> None:
    scorer = Scorer(sasrec, RULES, cache=cache)
    assert methods([*scorer.score([tracked("i1", "i2")]), *scorer.score([other])]) == [ScoredBy.FULL, ScoredBy.FULL]


def test_another_bundle_number_or_precision_asks_anew(sasrec: Bundle, cache: ScoreCache, tmp_path: Path) -> None:
    other = write(tmp_path / "other", SASRec(SASRecConfig(items=ITEMS, history_length=5, dim=4, k=ITEMS), COUNTS))
    scorers = [
        Scorer(sasrec, RULES, cache=cache),
        Scorer(other, RULES, cache=cache),
        Scorer(sasrec, replace(RULES, candidates=3), cache=cache),
        Scorer(sasrec, RULES, OnCpu("bfloat16"), cache),
    ]
    assert [method for scorer in scorers for method in methods(scorer.score([tracked("i1")]))] == [ScoredBy.FULL] * 4


def test_a_fixed_batch_is_asked_as_a_whole(sasrec: Bundle, cache: ScoreCache) -> None:
    scorer = Scorer(sasrec, replace(RULES, fixed_batch=2), cache=cache)
    assert methods([*scorer.score([tracked("i1")]), *scorer.score([tracked("i1")])]) == [ScoredBy.FULL, ScoredBy.FULL]


few = st.builds(
    lambda history, out: tracked(*history, excluded=hashes(*out)),
    st.lists(st.sampled_from(IDS[:2]), max_size=2),
    st.lists(st.sampled_from(IDS[:2]), max_size=2),
)


@settings(max_examples=5)
@given(batches=st.lists(st.lists(few, min_size=1, max_size=4), max_size=4))
def test_whatever_was_asked_before_the_answers_are_the_model_s(
    sasrec: Bundle, batches: list[list[TrackedBehavior]]
) -> None:
    cache = ScoreCache(replace(CACHE, megabytes=1))
    storing, plain = Scorer(sasrec, RULES, cache=cache), Scorer(sasrec, RULES)
    for batch in batches:
        for one, other in zip(storing.score(batch), plain.score(batch), strict=True):
            assert dict(zip(one.items, one.scores(), strict=True)) == pytest.approx(
                dict(zip(other.items, other.scores(), strict=True)), abs=1e-5
            )
    cache.close()


def test_an_old_answer_is_not_given() -> None:
    now = 1_000.0
    cache = ScoreCache(CacheRules(megabytes=1, max_age_s=60), lambda: now)
    cache.keep([key(1)], [answer(1)])
    now += 60
    assert cache.find([key(1)]) != [None]
    now += 1
    assert cache.find([key(1)]) == [None]
    cache.close()


def stored_bytes(cache: ScoreCache) -> int:
    size = 0
    for file in (cache.folder / "store").glob("*.sst"):
        with suppress(FileNotFoundError):  # it was removed just now
            size += file.stat().st_size
    return size


def test_the_store_stays_within_its_size_and_keeps_the_newest(cache: ScoreCache) -> None:
    for number in range(20_000):  # 4 MB
        cache.keep([key(number)], [answer(number)])
    # RocksDB writes buffers and removes files in threads of its own.
    assert wait_until(lambda: MEBIBYTE / 2 < stored_bytes(cache) <= MEBIBYTE, timeout_s=60, poll_s=0.05)
    newest, oldest = cache.find([key(19_999), key(0)])
    assert oldest is None
    assert newest is not None
    assert newest.items.tolist() == answer(19_999).items.tolist()
    assert newest.scores.tolist() == answer(19_999).scores.tolist()


def _corrupt(store: Path) -> None:
    for file in store.glob("*.sst"):
        content = bytearray(file.read_bytes())
        content[: len(content) // 2] = bytes(len(content) // 2)
        file.write_bytes(content)


@pytest.mark.parametrize("spoil", [_corrupt, rmtree])
def test_a_store_that_is_corrupt_or_gone_gives_no_wrong_answer(
    cache: ScoreCache, caplog: pytest.LogCaptureFixture, spoil: object
) -> None:
    def ask(numbers: range) -> list[Scores | None]:
        return [cache.find([key(number)])[0] for number in numbers]

    for number in range(3_000):
        cache.keep([key(number)], [answer(number)])
    assert callable(spoil)
    spoil(cache.folder / "store")
    for number in range(3_000, 6_000):
        cache.keep([key(number)], [answer(number)])
    for number, found in enumerate(ask(range(6_000))):
        assert found is None or found.items.tolist() == answer(number).items.tolist()
    assert len([record for record in caplog.records if "score cache" in record.message]) == 1


def test_without_a_folder_to_write_to_every_history_is_scored(
    sasrec: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    cache = ScoreCache(replace(CACHE, megabytes=1))
    scorer = Scorer(sasrec, RULES, cache=cache)
    asked = [tracked("i1", "i2")]
    assert [methods(scorer.score(asked)) for _ in range(2)] == [[ScoredBy.FULL], [ScoredBy.FULL]]
    assert "every history is scored from now on" in caplog.text
    cache.close()


def test_nothing_is_left_of_a_closed_store(cache: ScoreCache, tmp_path: Path) -> None:
    assert list(tmp_path.iterdir()) == [cache.folder]
    cache.close()
    assert list(tmp_path.iterdir()) == []
    assert cache.find([key(1)]) == [None]
    cache.keep([key(1)], [answer(1)])


def test_what_a_killed_worker_left_is_removed_by_the_next(cache: ScoreCache, tmp_path: Path) -> None:
    code = (
        f"import tempfile, time; tempfile.tempdir = {str(tmp_path)!r}\n"
        "from udfs.scoring.score_cache import ScoreCache; from udfs.scoring.scoring_rules import CacheRules\n"
        "ScoreCache(CacheRules(megabytes=1, max_age_s=60)); print('open', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        assert worker.stdout.readline() == b"open\n"
        assert len(list(tmp_path.iterdir())) == 2
        worker.send_signal(signal.SIGKILL)
    another = ScoreCache(CacheRules(megabytes=1, max_age_s=60))
    assert set(tmp_path.iterdir()) == {cache.folder, another.folder}
    another.close()

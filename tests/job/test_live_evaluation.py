"""`recloop evaluate --live` on a real cluster: the job's lists are those of the pure functions on the same prefix."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from job.freshness import evaluation
from job.freshness.evaluation import Order, evaluate_live
from job.settings.job_settings import JobSettings, load
from job.topology.rules import action_table, list_rules, profile_rules, scoring_rules
from model.bundles.bundle import Bundle
from model.datasets.generate import Synthetic, generate
from model.datasets.prepared import Dataset
from model.evaluation.freshness import Act, LookedUp, Question, Serving, Trace, look_up
from model.evaluation.freshness_report import Freshness
from udfs.elements import TrackedBehavior, with_candidates, without_log
from udfs.lists.list_rules import Fallbacks
from udfs.lists.user_list import UserList, update
from udfs.users.profile import UserProfile, apply, snapshot

pytestmark = [pytest.mark.cluster, pytest.mark.heavy, pytest.mark.slow]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("live") / "set"
    return generate(Synthetic(users=60, items=150, behaviors=2_500, tastes=5, days=5.0, seed=3), folder, "live")


@pytest.fixture(scope="module")
def bundle(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    from model.fit import FitConfig, fit
    from model.training.train import TrainConfig

    config = FitConfig(cut=0.8, settings=TrainConfig(epochs=3))
    return fit(dataset, tmp_path_factory.mktemp("bundle") / "live", config, datetime.now(UTC)).bundle


def offline(dataset: Dataset, bundle: Bundle, settings: JobSettings) -> list[Trace]:
    """Each user's trace as the job's pure functions make it, without Flink."""
    from udfs.scoring.scorer import Scorer

    actions = action_table(settings)
    rules, scorer = profile_rules(settings, actions), Scorer(bundle, scoring_rules(settings, actions))
    profiles: dict[str, UserProfile] = {}
    tracked: list[TrackedBehavior] = []
    for behavior in dataset.behaviors():
        profile = profiles.setdefault(behavior.user_id, UserProfile())
        apply(profile, without_log(behavior), rules)
        tracked.append(snapshot(profile, without_log(behavior), rules))
    size = settings.scoring.batch_max_size
    batches = [tracked[start : start + size] for start in range(0, len(tracked), size)]
    candidates = [found for batch in batches for found in scorer.score(batch)]
    fallbacks = Fallbacks(popular=tuple(item for item, _ in bundle.popularity))
    lists: dict[str, UserList] = {}
    traces: dict[str, Trace] = {}
    for each, found in zip(tracked, candidates, strict=True):
        user_id = each.behavior.user_id
        scored = with_candidates(each, found, model=0)
        before = lists.get(user_id, UserList())
        lists[user_id] = update(before, scored, list_rules(settings, actions), fallbacks)
        kind = each.behavior.action
        act = Act(each.behavior.item_id, each.behavior.timestamp, kind != "dislike", makes_known=True)
        earlier = traces.get(user_id, Trace(()))
        traces[user_id] = Trace(
            (*earlier.acts, act),
            (*earlier.list_times, act.timestamp),
            (*earlier.lists, tuple(lists[user_id].items)),
        )
    return [traces[user_id] for user_id in sorted(traces)]


def rates(found: LookedUp) -> dict[tuple[str, Serving], float]:
    return {key: float(each.ranking.hits(10).mean()) for key, each in found.found.items()}


def test_the_jobs_lists_are_worth_what_the_pure_functions_say(
    dataset: Dataset, bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_up: list[LookedUp] = []
    histories: list[Sequence[Trace]] = []

    def seen(traces: Sequence[Trace], question: Question) -> LookedUp:
        histories.append(traces)
        looked_up.append(look_up(traces, question))
        return looked_up[-1]

    monkeypatch.setattr(evaluation, "look_up", seen)
    settings = load(None, [f"scoring.bundle={json.dumps(str(bundle.path))}"])
    steps: list[str] = []
    report = evaluate_live(Order(dataset, bundle, settings, tmp_path / "out"), steps.append)

    replayable = settings.model_copy(update={"preset": "replayable"}).resolved()
    deep = replayable.model_copy(update={"lists": replayable.lists.model_copy(update={"length": 30})})
    wanted = offline(dataset, bundle, deep)
    cut_off = bundle.manifest.training.cut_off
    compared = swapped = 0
    for mine, other in zip(histories[0], wanted, strict=True):
        assert mine.acts == other.acts
        older = sum(time < cut_off for time in other.list_times)
        first = max(older - 1, 0)  # of those before the cut-off only the newest is read
        assert list(mine.list_times) == list(other.list_times)[first:]
        pairs = list(zip(mine.lists, other.lists[first:], strict=True))
        compared += len(pairs)
        swapped += sum(one != another for one, another in pairs)
    assert compared > 400
    assert swapped <= compared // 50  # items whose scores are closer than 1e-5 may change places
    question = Question(cut_off, tuple(item for item, _ in bundle.popularity))
    for key, rate in rates(look_up(wanted, question)).items():
        assert rates(looked_up[0])[key] == pytest.approx(rate, abs=0.01)

    assert looked_up[1].target == looked_up[0].target
    assert {row.trends for row in report.rows} == {False, True}
    written = json.loads((tmp_path / "out" / "freshness.json").read_text())
    assert written["targets"] == report.targets == len(looked_up[0].target) > 100
    assert not (tmp_path / "out" / "work").exists()
    assert any("step" in news for news in steps)
    assert_personal_lists_are_better(report)


def assert_personal_lists_are_better(report: Freshness) -> None:
    """The data have tastes, which a model that was trained on them knows and popularity does not."""
    rate = {(row.trends, row.refreshed): row.hr for row in report.rows if row.serving is Serving.STORED}
    assert rate[False, "behaviour"] > rate[False, "popular"]

"""The settings reach the rules that the operators work by."""

from pathlib import Path
from typing import Any

import pytest
from cloudpickle import dumps  # type: ignore[import-untyped]

from job.settings.job_settings import JobSettings, load
from job.settings.planned_job import JobPlan
from job.topology.operators import Operators
from job.topology.rules import action_table
from model.actions import DEFAULT_ACTIONS, Action, Kind
from model.registry.bundle_source import FromFolder, FromRegistry
from udfs.attempt import DeploymentId
from udfs.model_serving.score_candidates import PassUnscored, ScoreCandidates, Serving
from udfs.model_serving.variants import Variant
from udfs.scoring.scoring_rules import CacheRules, DeviceRules, ScoringRules

PLAN = JobPlan()
REGISTRY = ("models.url=s3://r", "models.name=m")


def settings(*overrides: str) -> JobSettings:
    return load(overrides=["scoring.bundle=bundle", *overrides])


def made(given: JobSettings, plan: JobPlan = PLAN) -> Operators:
    return Operators(given, plan)


def rules(operator: object) -> Any:
    return vars(operator)["_rules"]


def scoring(*overrides: str, plan: JobPlan = PLAN) -> tuple[Serving, ScoringRules]:
    operator = made(settings(*overrides), plan).score_candidates
    assert isinstance(operator, ScoreCandidates)
    return vars(operator)["_serving"], rules(operator)


def test_the_default_action_table_is_the_built_in_one() -> None:
    assert action_table(settings()) == DEFAULT_ACTIONS


def test_an_action_of_ones_own_reaches_the_table() -> None:
    row = '{"code": 40, "kind": "positive", "weight": 1.5, "half_life": 60}'
    assert action_table(settings(f"actions.gaze={row}"))["gaze"] == Action(40, Kind.POSITIVE, 1.5, 60.0)


def test_polling_heeds_its_settings() -> None:
    polling = rules(made(settings("log.poll_interval_ms=7", "log.max_poll_records=8", "flink.buckets=9")).poll_log)
    assert (polling.interval_ms, polling.max_records, polling.max_parallelism) == (7, 8, 9)


def test_parsing_heeds_its_settings() -> None:
    parsing = rules(made(settings("log.earliest_ms=5", "log.max_ahead=6", "log.allowed_lateness=7")).poll_log).parsing
    assert (parsing.earliest_ms, parsing.max_ahead_ms, parsing.allowed_lateness_ms) == (5, 6_000, 7_000)


def test_a_replayable_job_does_not_ask_its_clock_what_is_possible() -> None:
    judged = [rules(made(settings(f"preset={preset}")).poll_log).parsing for preset in ("live", "replayable")]
    assert [each.by_clock for each in judged] == [True, False]


def test_rows_and_epochs_are_those_of_the_deployment() -> None:
    polling = rules(made(settings(), JobPlan(number=7, generation=2)).poll_log)
    assert polling.deployment == DeploymentId(number=7, generation=2)


@pytest.mark.parametrize(
    "name",
    ["history_block", "seen_limit", "bought_limit", "disliked_limit", "event_ids_limit", "shown_limit"],
)
def test_profiles_heed_every_bound(name: str) -> None:
    assert getattr(rules(made(settings(f"profile.{name}=3")).track_users), name) == 3


def test_profiles_heed_what_lists_and_scoring_say_of_them() -> None:
    profile = rules(made(settings("lists.exclude_seen=false", "scoring.disliked_neighborhoods=4")).track_users)
    assert (profile.exclude_seen, profile.disliked_neighborhoods) == (False, 4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("length", 7),
        ("max_per_group", 2),
        ("max_new_items", 3),
        ("trend_weight", 0.5),
        ("impression_discount", 0.25),
        ("exclude_seen", False),
        ("hysteresis", 0.125),
        ("diversity", 0.5),
        ("explore_share", 0.05),
        ("explore_pool", 9),
    ],
)
def test_lists_heed_every_setting(name: str, value: object) -> None:
    updating = rules(made(settings(f"lists.{name}={str(value).lower()}")).update_lists)
    assert getattr(updating.lists, name) == value


def test_the_interval_between_lists_is_in_milliseconds() -> None:
    assert rules(made(settings("lists.update_interval=PT1M")).update_lists).lists.update_interval_ms == 60_000


@pytest.mark.parametrize(("given", "loaded"), [((), False), (("lists.diversity=0.2",), True)])
def test_neighbours_are_loaded_only_for_diversity(given: tuple[str, ...], loaded: bool) -> None:
    assert vars(made(settings(*given)).update_lists)["_load_fallbacks"].with_neighbors is loaded


def test_withdrawn_items_reach_lists_and_scoring() -> None:
    withdrawn = settings('lists.withdrawn=["a"]')
    assert rules(made(withdrawn).update_lists).lists.withdrawn == {"a"}
    assert rules(made(withdrawn).score_candidates).withdrawn == {"a"}


def test_batches_heed_their_settings() -> None:
    serving, _ = scoring("scoring.batch_max_size=5", "scoring.linger_ms=6", "scoring.score_deadline_ms=7")
    assert (serving.batches.max_size, serving.batches.linger_ms) == (5, 6.0)
    assert serving.calls.deadline_ms == 7.0


def test_serving_heeds_its_settings() -> None:
    model = ("scoring.variant=b", "scoring.threads=2", "scoring.shed_after_ms=8", "scoring.coalesce=true")
    serving, _ = scoring(*model, plan=JobPlan(bundle_hashes={"b": "abc"}))
    assert serving.variants == (Variant("b", 1.0, FromFolder(Path("bundle"), "abc")),)
    assert (serving.threads, serving.shed_after_ms, serving.coalesce) == (2, 8.0, True)


def test_a_registrys_current_is_followed_as_the_settings_say() -> None:
    serving, _ = scoring(*REGISTRY, "models.cache=cache", "models.poll_interval=3", "scoring.bundle=null")
    assert serving.variants == (Variant("default", 1.0, FromRegistry("s3://r", "m", "current", Path("cache"))),)
    assert serving.poll_s == 3


def test_variants_heed_their_settings_and_the_first_fills_everybodys_lists() -> None:
    first, second = '{"bundle": "one", "weight": 9}', '{"model": "candidate"}'
    named = f'models.variants={{"a": {first}, "b": {second}}}'
    test = (*REGISTRY, named, "models.salt=s", "scoring.bundle=null")
    plan = JobPlan(bundle_hashes={"a": "abc"})
    serving, _ = scoring(*test, plan=plan)
    one = FromFolder(Path("one"), "abc")
    other = FromRegistry("s3://r", "m", "candidate", Path(".recloop/bundles"))
    assert serving.variants == (Variant("a", 9.0, one), Variant("b", 1.0, other))
    assert serving.salt == "s"
    assert vars(made(settings(*test), plan).update_lists)["_load_fallbacks"].source == one


def test_the_device_heeds_its_settings() -> None:
    serving, _ = scoring("scoring.device=cuda:0", "scoring.device_missing=cpu", "scoring.precision=float16")
    assert serving.device == DeviceRules(name="cuda:0", missing="cpu", precision="float16")


def test_the_model_is_asked_as_the_settings_say() -> None:
    _, asked = scoring("scoring.candidates=4", "scoring.neighbors_of_disliked=2", "lists.exclude_seen=false")
    assert (asked.candidates, asked.neighbors_of_disliked, asked.exclude_seen) == (4, 2, False)


@pytest.mark.parametrize(
    ("given", "enough"),
    [
        ((), 7),
        (("lists.max_per_group=2",), None),
        (("lists.max_new_items=2",), None),
        (('lists.withdrawn=["a"]',), None),
        (("lists.update_interval=PT1M",), None),
        (("lists.explore_share=0.1",), None),
        (("lists.diversity=0.1", "lists.hysteresis=0.1"), 7),
    ],
)
def test_candidates_are_enough_for_a_list_unless_it_may_leave_some_out(
    given: tuple[str, ...], enough: int | None
) -> None:
    serving, _ = scoring("lists.length=7", *given)
    assert serving.enough == enough


def test_kept_states_and_stored_scores_heed_their_settings() -> None:
    stored = ("scoring.score_cache_mb=8", "scoring.scores_kept_for=60")
    serving, asked = scoring("scoring.kept_users=4", "scoring.kept_mb=2", *stored)
    assert (asked.kept_users, asked.kept_mb, serving.cache) == (4, 2, CacheRules(megabytes=8, max_age_s=60.0))


@pytest.mark.parametrize(("fixed", "batch"), [("false", None), ("true", 64)])
def test_a_fixed_batch_is_as_large_as_batches_may_be(fixed: str, batch: int | None) -> None:
    assert scoring(f"scoring.fixed_batch={fixed}")[1].fixed_batch == batch


def test_without_a_bundle_nothing_is_scored() -> None:
    operators = made(load(overrides=["lists.policy=history"]))
    assert isinstance(operators.score_candidates, PassUnscored)


def test_trends_heed_their_settings() -> None:
    trends = rules(
        made(settings("trends.half_life=2", "trends.interval=3", "trends.capacity=4", "trends.size=5")).find_trends
    )
    assert (trends.half_life_ms, trends.interval_ms, trends.capacity, trends.size) == (2_000, 3_000, 4, 5)


def test_predictions_are_sampled_as_the_settings_say() -> None:
    assert rules(made(settings("tables.prediction_sample_rate=0.5")).update_lists).prediction_sample_rate == 0.5


def test_the_operators_can_be_pickled_into_the_job() -> None:
    for operator in vars(made(settings())).values():
        dumps(operator)

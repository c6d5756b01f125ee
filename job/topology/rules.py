"""Rules of the operators and of offline scoring, made from settings: each field by its name, defaults included."""

from datetime import timedelta
from types import MappingProxyType

from job.settings.job_settings import JobSettings
from job.settings.planned_job import JobPlan
from model.actions import Action, ActionTable
from udfs.attempt import DeploymentId
from udfs.lists.list_rules import ListRules
from udfs.log.parsing import ParsingRules
from udfs.model_serving.batching import BatchRules
from udfs.model_serving.model_calls import CallRules
from udfs.scoring.scoring_rules import CacheRules, DeviceRules, ScoringRules
from udfs.trends.trends import TrendRules
from udfs.users.profile import ProfileRules


def action_table(settings: JobSettings) -> ActionTable:
    """Return the action table that the settings describe."""
    return MappingProxyType(
        {
            name: Action(row.code, row.kind, row.weight, row.half_life.total_seconds())
            for name, row in settings.actions.items()
        }
    )


def deployment_id(plan: JobPlan) -> DeploymentId:
    """Return the id of the deployment."""
    return DeploymentId(number=plan.number, generation=plan.generation)


def parsing_rules(settings: JobSettings, actions: ActionTable) -> ParsingRules:
    """Return the rules for accepting records of the log."""
    log = settings.log
    return ParsingRules(
        actions=actions,
        earliest_ms=log.earliest_ms,
        max_ahead_ms=milliseconds(log.max_ahead),
        allowed_lateness_ms=milliseconds(log.allowed_lateness),
        by_clock=settings.preset != "replayable",
    )


def profile_rules(settings: JobSettings, actions: ActionTable) -> ProfileRules:
    """Return the limits of a profile."""
    profile = settings.profile
    return ProfileRules(
        actions=actions,
        history_block=profile.history_block,
        seen_limit=profile.seen_limit,
        bought_limit=profile.bought_limit,
        disliked_limit=profile.disliked_limit,
        event_ids_limit=profile.event_ids_limit,
        shown_limit=profile.shown_limit,
        exclude_seen=settings.lists.exclude_seen,
        disliked_neighborhoods=settings.scoring.disliked_neighborhoods,
    )


def trend_rules(settings: JobSettings) -> TrendRules:
    """Return the rules for trends."""
    trends = settings.trends
    return TrendRules(
        half_life_ms=milliseconds(trends.half_life),
        capacity=trends.capacity,
        size=trends.size,
        interval_ms=milliseconds(trends.interval),
    )


def scoring_rules(settings: JobSettings, actions: ActionTable) -> ScoringRules:
    """Return the rules for scoring."""
    scoring, lists = settings.scoring, settings.lists
    return ScoringRules(
        actions=actions,
        exclude_seen=lists.exclude_seen,
        neighbors_of_disliked=scoring.neighbors_of_disliked,
        withdrawn=frozenset(lists.withdrawn),
        candidates=scoring.candidates,
        fixed_batch=scoring.batch_max_size if scoring.fixed_batch else None,
        kept_users=scoring.kept_users,
        kept_mb=scoring.kept_mb,
    )


def device_rules(settings: JobSettings) -> DeviceRules:
    """Return the rules for the model's device and precision."""
    scoring = settings.scoring
    return DeviceRules(name=scoring.device, missing=scoring.device_missing, precision=scoring.precision)


def batch_rules(settings: JobSettings) -> BatchRules:
    """Return the size and waiting time of the model's batches."""
    return BatchRules(max_size=settings.scoring.batch_max_size, linger_ms=settings.scoring.linger_ms)


def call_rules(settings: JobSettings) -> CallRules:
    """Return the deadline of a call."""
    return CallRules(deadline_ms=settings.scoring.score_deadline_ms)


def cache_rules(settings: JobSettings) -> CacheRules:
    """Return the size and age limits of the score cache."""
    scoring = settings.scoring
    return CacheRules(megabytes=scoring.score_cache_mb, max_age_s=scoring.scores_kept_for.total_seconds())


def list_rules(settings: JobSettings, actions: ActionTable) -> ListRules:
    """Return the rules for making lists."""
    lists = settings.lists
    return ListRules(
        actions=actions,
        policy=lists.policy,
        length=lists.length,
        max_per_group=lists.max_per_group,
        max_new_items=lists.max_new_items,
        trend_weight=lists.trend_weight,
        impression_discount=lists.impression_discount,
        exclude_seen=lists.exclude_seen,
        withdrawn=frozenset(lists.withdrawn),
        hysteresis=lists.hysteresis,
        diversity=lists.diversity,
        update_interval_ms=None if lists.update_interval is None else milliseconds(lists.update_interval),
        explore_share=lists.explore_share,
        explore_pool=lists.explore_pool,
    )


def milliseconds(duration: timedelta) -> int:
    """Return a duration in whole milliseconds."""
    return int(duration.total_seconds() * 1000)

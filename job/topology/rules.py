"""From settings to the rules that profiles are kept and histories scored by: the job's, and offline scoring's."""

from types import MappingProxyType

from job.settings.job_settings import JobSettings
from model.actions import Action, ActionTable
from udfs.scoring.scoring_rules import DeviceRules, ScoringRules
from udfs.users.profile import ProfileRules


def action_table(settings: JobSettings) -> ActionTable:
    """The action table that the settings describe."""
    return MappingProxyType(
        {
            name: Action(row.code, row.kind, row.weight, row.half_life.total_seconds())
            for name, row in settings.actions.items()
        }
    )


def profile_rules(settings: JobSettings, actions: ActionTable) -> ProfileRules:
    """The bounds of a profile."""
    return ProfileRules(
        actions,
        **settings.profile.model_dump(),
        exclude_seen=settings.lists.exclude_seen,
        disliked_neighborhoods=settings.scoring.disliked_neighborhoods,
    )


def scoring_rules(settings: JobSettings, actions: ActionTable) -> ScoringRules:
    """What the model is asked."""
    scoring, lists = settings.scoring, settings.lists
    return ScoringRules(
        actions,
        lists.exclude_seen,
        scoring.neighbors_of_disliked,
        frozenset(lists.withdrawn),
        scoring.candidates,
        scoring.batch_max_size if scoring.fixed_batch else None,
        scoring.kept_users,
        scoring.kept_mb,
    )


def device_rules(settings: JobSettings) -> DeviceRules:
    """Where the model runs."""
    scoring = settings.scoring
    return DeviceRules(scoring.device, scoring.device_missing, scoring.precision)

"""The operators' rules as the settings' defaults give them; tests lay over them what they are about."""

from pathlib import Path

from job.settings.groups import ScoringSettings
from job.settings.job_settings import JobSettings
from job.topology import rules
from model.actions import DEFAULT_ACTIONS
from udfs.model_serving.variant_workers import WorkerRules

_SETTINGS = JobSettings(scoring=ScoringSettings(bundle=Path("bundle")))

PARSING = rules.parsing_rules(_SETTINGS, DEFAULT_ACTIONS)
PROFILE = rules.profile_rules(_SETTINGS, DEFAULT_ACTIONS)
TRENDS = rules.trend_rules(_SETTINGS)
SCORING = rules.scoring_rules(_SETTINGS, DEFAULT_ACTIONS)
DEVICE = rules.device_rules(_SETTINGS)
CACHE = rules.cache_rules(_SETTINGS)
LISTS = rules.list_rules(_SETTINGS, DEFAULT_ACTIONS)
WORKER = WorkerRules(
    batches=rules.batch_rules(_SETTINGS),
    calls=rules.call_rules(_SETTINGS),
    shed_after_ms=_SETTINGS.scoring.shed_after_ms,
    coalesce=_SETTINGS.scoring.coalesce,
)

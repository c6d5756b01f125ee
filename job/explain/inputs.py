"""The rules and models that a list was made with: the settings of its own deployment, and the bundle it names."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from job.deployment.history import DeploymentHistory
from job.explain.records import ExplainError, ListRecord
from job.settings.job_settings import JobSettings
from job.settings.planned_job import PlannedJob
from job.topology.rules import action_table, device_rules, list_rules, parsing_rules, profile_rules, scoring_rules
from job.topology.served_models import variants
from model.bundles.bundle import Bundle
from model.bundles.manifest import BundleError
from model.registry.bundle_source import FromFolder, FromRegistry
from model.registry.errors import RegistryError
from model.registry.pointers import Version
from udfs.attempt import EPOCHS_A_DEPLOYMENT
from udfs.elements import Candidates, TrackedBehavior, TrendSnapshot
from udfs.lists.fallbacks import BundleFallbacks
from udfs.lists.list_rules import Fallbacks, ListRules
from udfs.log.parsing import ParsingRules
from udfs.model_serving.variants import Variant
from udfs.users.profile import ProfileRules


class Deployments:
    """The deployments of a job, from which the settings of each row's own one are taken."""

    def __init__(self, folder: Path, job_name: str) -> None:
        """Read the history.

        Raises:
            DeployError: it is damaged.
        """
        self._folder, self._job_name = folder, job_name
        self._files = {each.number: each.shipped.settings for each in DeploymentHistory(folder, job_name).submitted}
        self._read: dict[int, PlannedJob] = {}
        self._rules: dict[int, Rules] = {}
        self._models: dict[int, Models] = {}

    def rules_of(self, epoch: int) -> "Rules":
        """Return the rules of the deployment whose attempt has this epoch; errors as in `of_epoch`."""
        number = epoch // EPOCHS_A_DEPLOYMENT
        if number not in self._rules:
            self._rules[number] = Rules.of(self.of_epoch(epoch).settings)
        return self._rules[number]

    def models_of(self, epoch: int) -> "Models":
        """Return the models of the deployment whose attempt has this epoch; errors as in `of_epoch`."""
        number = epoch // EPOCHS_A_DEPLOYMENT
        if number not in self._models:
            self._models[number] = Models(self.of_epoch(epoch))
        return self._models[number]

    def of_epoch(self, epoch: int) -> PlannedJob:
        """Return the settings and plan of the deployment whose attempt has this epoch.

        Raises:
            ExplainError: the history does not know it.
            SettingsError: its settings cannot be read any more.
        """
        return self._numbered(epoch // EPOCHS_A_DEPLOYMENT)

    def newest(self) -> PlannedJob:
        """Return those of the newest deployment; errors as in `of_epoch`."""
        return self._numbered(max(self._files, default=0))

    def _numbered(self, number: int) -> PlannedJob:
        if number not in self._read:
            if number not in self._files:
                msg = (
                    f"deployment {number} of job {self._job_name}, whose settings the list was made by, is not in "
                    f"{self._folder}: give the state folder of its cluster with --dir, or its name with --job-name"
                )
                raise ExplainError(msg)
            self._read[number] = PlannedJob.of_file(self._files[number])
        return self._read[number]


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one deployment."""

    parsing: ParsingRules
    profile: ProfileRules
    lists: ListRules

    @classmethod
    def of(cls, settings: JobSettings) -> "Rules":
        """Return the rules that the settings make."""
        actions = action_table(settings)
        return cls(
            parsing=parsing_rules(settings, actions),
            profile=profile_rules(settings, actions),
            lists=list_rules(settings, actions),
        )


class Models:
    """The models of one deployment, as its lists name them."""

    def __init__(self, job: PlannedJob) -> None:
        self._job = job
        self._served = variants(job.settings.resolved(), job.plan.bundle_hashes)
        self._bundles: dict[tuple[str | None, str | None], Bundle] = {}
        self._popular: Fallbacks | None = None

    def fallbacks(self, trends: TrendSnapshot | None) -> Fallbacks:
        """Return the items that filled short lists, and the trends that were blended in.

        The popular items are those of the first variant's model as the job would load it now: where it follows a
        registry, the rows do not name the version that was there when the job began.
        """
        if self._popular is None:
            source = self._served[0].source if self._served else None
            settings = self._job.settings
            self._popular = BundleFallbacks.needed(source, list_rules(settings, action_table(settings)))()
        found = self._popular
        if trends is None:
            return found
        return replace(found, trending=trends.strengths, snapshot_id=trends.snapshot_id)

    def bundle(self, made: ListRecord) -> Bundle | None:
        """Return the bundle that scored a list, or that served its user; None if no model had a part in it.

        Raises:
            ExplainError: it is not there any more.
        """
        mine = [each for each in self._served if each.name == made.variant] or list(self._served)
        if not mine:
            return None
        key = made.variant, made.model_hash
        if key not in self._bundles:
            self._bundles[key] = self._loaded(made, mine)
        return self._bundles[key]

    def _loaded(self, made: ListRecord, mine: Sequence[Variant]) -> Bundle:
        if made.model_hash is None:
            return mine[0].source.load_first(lambda bundle: bundle)
        for folder in self._folders(made):
            try:
                bundle = Bundle.load(folder)
            except (BundleError, OSError):
                continue
            if bundle.hash == made.model_hash:
                return bundle
        for source in (each.source for each in mine if isinstance(each.source, FromRegistry)):
            try:
                return source.fetch(Version(str(made.model_version), made.model_hash))
            except (BundleError, RegistryError, OSError):
                continue
        msg = (
            f"version {made.model_version} of the model (sha256 {made.model_hash[:12]}...), which scored the list, is "
            f"neither in {self._job.settings.models.cache} nor where the settings name it: put it back"
        )
        raise ExplainError(msg)

    def candidates(self, bundle: Bundle, tracked: TrackedBehavior) -> tuple[Candidates, bytes]:
        """Return what the model proposes after a behaviour, and the packed neighbours of the newest dislikes."""
        # Imported here: torch takes seconds.
        from udfs.scoring.device import open_device
        from udfs.scoring.scorer import Scorer

        settings = self._job.settings
        asked = replace(scoring_rules(settings, action_table(settings)), kept_users=0)
        device = open_device(replace(device_rules(settings), missing="cpu"))
        scorer = Scorer(bundle, asked, device)
        (found,) = scorer.score([tracked])
        return found, scorer.disliked_neighbors(tracked.disliked)

    def disliked_neighbors(self, bundle: Bundle, disliked: bytes) -> bytes:
        """Return the packed hashes of the neighbours of these dislikes; no model is loaded."""
        from udfs.scoring.inputs import ModelInputs

        settings = self._job.settings
        return ModelInputs(bundle, scoring_rules(settings, action_table(settings))).disliked_neighbors(disliked)

    def _folders(self, made: ListRecord) -> Iterator[Path]:
        yield self._job.settings.models.cache / str(made.model_hash)
        yield from (each.source.folder for each in self._served if isinstance(each.source, FromFolder))

"""The scoring of parts, as each process does it.

A user's profile is built as in the job, behaviour by behaviour, and scored once, after the last one. Parts and batches
do not depend on the number of processes, so neither do the scores.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from job.offline.split import behaviors_file
from job.settings.job_settings import JobSettings
from job.topology.rules import action_table, device_rules, profile_rules, scoring_rules
from model.bundles.bundle import Bundle
from model.datasets.json_lines import read_behaviors
from model.errors import RecloopError
from model.files import whole_file
from model.records import EpochMs, UserBehavior
from model.worker_processes import Worker
from udfs.elements import Candidates, TrackedBehavior, without_log
from udfs.scoring.scoring_rules import DeviceRules
from udfs.users.profile import ProfileRules, UserProfile, apply, snapshot


class BundleReplacedError(RecloopError):
    """The bundle in the folder was replaced during the run: run the command again."""


class _UserItems(msgspec.Struct, gc=False):
    """A line of the result: a user's items, best first, and the model that scored them."""

    user_id: str
    items: list[str]
    scores: list[float]
    model_version: str
    model_hash: str


@dataclass(frozen=True, slots=True)
class PartProgress:
    """A progress report from a process: the number of users of a part scored so far."""

    part: int
    users: int


def scored_file(folder: Path, part: int) -> Path:
    """Return the file of a part's scored users; it is there once all of them are scored."""
    return folder / f"part-{part:04d}.jsonl"


@dataclass(frozen=True, slots=True)
class ScoreParts:
    """The work of each process; parts that are scored already are skipped.

    Attributes:
        folder: the folder of the parts.
        parts: the parts to score, by all processes together.
        settings: the settings as JSON.
        bundle_hash: the hash of the bundle that `settings` name.
        now: the time of scoring, which determines the age of histories.
    """

    folder: Path
    parts: tuple[int, ...]
    settings: str
    bundle_hash: str
    now: EpochMs

    def __call__(self, worker: Worker) -> None:
        """Score every size-th part, from the rank-th on."""
        import torch

        settings = JobSettings(**json.loads(self.settings))
        torch.set_num_threads(settings.scoring.threads)
        device = own_device(device_rules(settings), worker.rank, torch.cuda.device_count())
        scorer = _PartScorer(settings, self.bundle_hash, self.now, device)
        for part in self.parts[worker.rank :: worker.size]:
            target = scored_file(self.folder, part)
            if target.exists():
                continue
            users = 0
            with whole_file(target) as out:
                for lines in scorer.score(read_behaviors(behaviors_file(self.folder, part))):
                    out.writelines(lines)
                    users += len(lines)
                    worker.tell(PartProgress(part, users))


def own_device(rules: DeviceRules, rank: int, gpus: int) -> DeviceRules:
    """Replace `cuda` by the GPU of this process; processes share GPUs only if there are too few."""
    if rules.name != "cuda" or not gpus:
        return rules
    return replace(rules, name=f"cuda:{rank % gpus}")


class _PartScorer:
    """A loaded bundle and the rules by which users are scored."""

    def __init__(self, settings: JobSettings, bundle_hash: str, now: EpochMs, device: DeviceRules) -> None:
        """Load the bundle that the settings name, on that device.

        Raises:
            BundleReplacedError: the bundle has another hash.
            BundleError: the bundle cannot be used.
        """
        actions = action_table(settings)
        assert settings.scoring.bundle is not None
        bundle = Bundle.load(settings.scoring.bundle)
        if bundle.hash != bundle_hash:
            msg = f"{bundle.path} was replaced while it was scored with: run the command again"
            raise BundleReplacedError(msg)
        self._rules = profile_rules(settings, actions)
        asked = replace(scoring_rules(settings, actions), kept_users=0)  # nobody is scored twice
        # Imported here: the `recloop` command starts without torch.
        from udfs.scoring.device import open_device
        from udfs.scoring.scorer import Scorer

        self._scorer = Scorer(bundle, asked, open_device(device))
        self._made_by = (bundle.manifest.version, bundle.hash)
        self._now = now
        self._batch = settings.scoring.batch_max_size
        self._encode = msgspec.json.Encoder().encode

    def score(self, behaviors: Iterable[UserBehavior]) -> Iterator[list[bytes]]:
        """Yield the lines of one batch of users after the other, in the order of the users' first behaviours."""
        users = list(profiles_after(behaviors, self._rules).items())
        for start in range(0, len(users), self._batch):
            some = users[start : start + self._batch]
            tracked = [self._as_it_stands(*user) for user in some]
            candidates = self._scorer.score(tracked)
            yield [self._line(user, found) for (user, _), found in zip(some, candidates, strict=True)]

    def _as_it_stands(self, user_id: str, profile: UserProfile) -> TrackedBehavior:
        """Return the model's input for a profile; its behaviour is empty, and only carries the time."""
        now = UserBehavior(user_id=user_id, action="", item_id="", timestamp=self._now)
        return snapshot(profile, without_log(now), self._rules)

    def _line(self, user_id: str, found: Candidates) -> bytes:
        scores = [round(score, 6) for score in found.scores()]
        return self._encode(_UserItems(user_id, found.items, scores, *self._made_by)) + b"\n"


def profiles_after(behaviors: Iterable[UserBehavior], rules: ProfileRules) -> dict[str, UserProfile]:
    """Return every user's profile after all behaviours, oldest first; those with an unknown action change none."""
    profiles: dict[str, UserProfile] = {}
    for behavior in behaviors:
        profile = profiles.setdefault(behavior.user_id, UserProfile())
        if behavior.action in rules.actions:
            apply(profile, without_log(behavior), rules)
    return profiles

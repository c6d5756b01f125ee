"""Scores the users of parts: what each of the processes does.

A user's profile is built as the job builds it, behaviour by behaviour, and scored once, as it stands in the end. Parts
and batches do not depend on how many processes there are, so neither does a single score.
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
from udfs.elements import Candidates, LoggedBehavior, TrackedBehavior
from udfs.scoring.scoring_rules import DeviceRules
from udfs.users.profile import ProfileRules, UserProfile, apply, snapshot


class BundleReplacedError(RecloopError):
    """Another bundle than the one that was begun with is in the folder: run the command again."""


class UserItems(msgspec.Struct, gc=False):
    """One line of the result: a user's items, best first, and which model says so."""

    user_id: str
    items: list[str]
    scores: list[float]
    model_version: str
    model_hash: str


@dataclass(frozen=True, slots=True)
class PartTold:
    """What a process tells: how many users of a part are scored so far."""

    part: int
    users: int


def scored_file(folder: Path, part: int) -> Path:
    """Where a part's users are when all of them are scored."""
    return folder / f"part-{part:04d}.jsonl"


@dataclass(frozen=True, slots=True)
class ScoreParts:
    """What each process does; what is done already is left alone.

    Attributes:
        folder: of the parts.
        parts: those to score, by all processes together.
        settings: as JSON.
        bundle_hash: of the bundle that `settings` name.
        now: when the users are scored, by which histories age.
    """

    folder: Path
    parts: tuple[int, ...]
    settings: str
    bundle_hash: str
    now: EpochMs

    def __call__(self, worker: Worker) -> None:
        """Scores every size-th part, from the rank-th."""
        import torch

        settings = JobSettings(**json.loads(self.settings))
        torch.set_num_threads(settings.scoring.threads)
        device = own_device(device_rules(settings), worker.rank, torch.cuda.device_count())
        scorer = PartScorer(settings, self.bundle_hash, self.now, device)
        for part in self.parts[worker.rank :: worker.size]:
            target = scored_file(self.folder, part)
            if target.exists():
                continue
            users = 0
            with whole_file(target) as out:
                for lines in scorer.score(read_behaviors(behaviors_file(self.folder, part))):
                    out.writelines(lines)
                    users += len(lines)
                    worker.tell(PartTold(part, users))


def own_device(rules: DeviceRules, rank: int, gpus: int) -> DeviceRules:
    """Of `cuda` the GPU of that process: one each, while there are enough of them."""
    if rules.name != "cuda" or not gpus:
        return rules
    return replace(rules, name=f"cuda:{rank % gpus}")


class PartScorer:
    """A loaded bundle and the rules by which users are scored."""

    def __init__(self, settings: JobSettings, bundle_hash: str, now: EpochMs, device: DeviceRules) -> None:
        """Loads the bundle that the settings name, on that device.

        Raises:
            BundleReplacedError: it has another hash.
            BundleError: it cannot be used.
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
        """Yields the lines of some users after the other, in the order of their first behaviours."""
        users = list(profiles_after(behaviors, self._rules).items())
        for start in range(0, len(users), self._batch):
            some = users[start : start + self._batch]
            tracked = [self._as_it_stands(*user) for user in some]
            candidates = self._scorer.score(tracked)
            yield [self._line(user, found) for (user, _), found in zip(some, candidates, strict=True)]

    def _as_it_stands(self, user_id: str, profile: UserProfile) -> TrackedBehavior:
        """The profile as the model is asked about it; the behaviour is none, but says when."""
        now = UserBehavior(user_id=user_id, action="", item_id="", timestamp=self._now)
        return snapshot(profile, _logged(now), self._rules)

    def _line(self, user_id: str, found: Candidates) -> bytes:
        scores = [round(score, 6) for score in found.scores()]
        return self._encode(UserItems(user_id, found.items, scores, *self._made_by)) + b"\n"


def profiles_after(behaviors: Iterable[UserBehavior], rules: ProfileRules) -> dict[str, UserProfile]:
    """Every user's profile after all behaviours, oldest first; those with an action that is not known change none."""
    profiles: dict[str, UserProfile] = {}
    for behavior in behaviors:
        profile = profiles.setdefault(behavior.user_id, UserProfile())
        if behavior.action in rules.actions:
            apply(profile, _logged(behavior), rules)
    return profiles


def _logged(behavior: UserBehavior) -> LoggedBehavior:
    return LoggedBehavior(
        user_id=behavior.user_id,
        action=behavior.action,
        item_id=behavior.item_id,
        timestamp=behavior.timestamp,
        event_id=behavior.event_id,
        request_id=behavior.request_id,
        position=behavior.position,
        log_partition=0,
        log_offset=0,
        appended_at=None,
    )

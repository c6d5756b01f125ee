"""The helper process for models: the list that a bundle makes of a history that somebody builds by hand.

A history goes through the job's own functions: the profile, the scorer and the list's rules, behaviour by behaviour for
the profile, and once for the list. Trends are left out, as no job need run.
"""

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from job.page.errors import PageError
from job.page.helper import Answer, answer_questions
from job.settings.job_settings import JobSettings
from job.topology.rules import action_table, list_rules, profile_rules, scoring_rules
from model.bundles.bundle import Bundle
from model.bundles.manifest import BundleError
from model.records import UserBehavior
from model.registry.registry import Registry
from udfs.elements import (
    Candidates,
    LoggedBehavior,
    ScoredBehavior,
    TrackedBehavior,
    with_candidates,
    without_log,
)
from udfs.lists.entries import reason_text
from udfs.lists.fallbacks import BundleFallbacks
from udfs.lists.list_rules import Fallbacks
from udfs.lists.user_list import UserList, update
from udfs.users.profile import UserProfile, apply, snapshot

if TYPE_CHECKING:
    from udfs.scoring.scorer import Scorer

_KEPT = 4
"""Models that are kept loaded."""
_STEP_MS = 60_000
"""The time between two behaviours of a history."""
_USER = "what-if"


class WhatIfConfig(msgspec.Struct):
    """The first line of the helper's input.

    Attributes:
        settings: the job's settings, by which lists are made.
        registry: the registry of bundles, or None.
        folder: a bundle's folder, or None.
        cache: where bundles of the registry are copied to.
    """

    settings: dict[str, Any]
    registry: str | None
    folder: str | None
    cache: str


class Choice(msgspec.Struct, frozen=True):
    """A bundle that may be asked: a version in the registry, or the configured folder if both are None."""

    model: str | None = None
    version: str | None = None


class Offered(msgspec.Struct, frozen=True):
    """A bundle that is offered, and its version, by which a folder's can be recognized in the registry."""

    choice: Choice
    version: str


class Act(msgspec.Struct, frozen=True):
    """One behaviour of a history."""

    action: str
    item_id: str


@dataclass(frozen=True, slots=True)
class _Loaded:
    """A bundle and its model, ready to be asked."""

    bundle: Bundle
    scorer: "Scorer"
    fallbacks: Fallbacks


class WhatIf:
    """Lists of the bundles that one registry and one folder have."""

    def __init__(self, config: WhatIfConfig) -> None:
        settings = JobSettings(**config.settings)
        self._config = config
        self._actions = action_table(settings)
        self._profiles = profile_rules(settings, self._actions)
        self._scoring = replace(scoring_rules(settings, self._actions), kept_users=0)
        self._lists = list_rules(settings, self._actions)
        self._loaded: OrderedDict[Choice, _Loaded] = OrderedDict()

    def by_kind(self) -> Mapping[str, Answer]:
        """Return kind of question -> the method that answers."""
        return {"list": self.make_list, "bundles": self.bundles, "promote": self.promote, "rollback": self.rollback}

    def promote(self, model: str, version: str) -> None:
        """Make a version current; it is tried first, which needs torch, and is why it is done here."""
        self._registry().promote(model, version)

    def rollback(self, model: str) -> None:
        """Make the version current again that was before the last promotion."""
        self._registry().rollback(model)

    def bundles(self) -> list[Offered]:
        """Return the bundles that may be asked, the configured folder first, then the newest of each model."""
        folder = self._config.folder
        found = []
        if folder is not None:
            with suppress(BundleError):  # what can be asked besides is offered all the same
                found.append(Offered(Choice(), Bundle.load(Path(folder)).manifest.version))
        if self._config.registry is not None:
            registry = self._registry()
            each_version = ((name, each) for name in registry.names() for each in reversed(registry.versions(name)))
            found += [Offered(Choice(*each), each[1]) for each in each_version]
        return found

    def make_list(self, bundle: dict[str, Any], history: list[dict[str, Any]]) -> dict[str, object]:
        """Return the list after a history, with the title, score and reason of each item."""
        loaded = self._load(msgspec.convert(bundle, Choice))
        acts = msgspec.convert(history, list[Act])
        if not acts:
            msg = "add a behaviour to the history first"
            raise PageError(msg)
        if unknown := next((act.action for act in acts if act.action not in self._actions), None):
            msg = f"the job knows no action {unknown!r}"
            raise PageError(msg)
        tracked = self._track(acts)
        (candidates,) = loaded.scorer.score([tracked])
        made = update(UserList(), _scored(tracked, candidates, loaded.scorer), self._lists, loaded.fallbacks)
        manifest = loaded.bundle.manifest
        rows = zip(made.items, made.scores, made.reasons, strict=True)
        entries = [
            {
                "item_id": item,
                "title": _title(loaded.bundle, item),
                "group": _group(loaded.bundle, item),
                "score": score,
                "reason": reason_text(reason),
                "because": _title(loaded.bundle, reason) if isinstance(reason, str) else "",
            }
            for item, score, reason in rows
        ]
        known = sum(act.item_id in loaded.bundle.index_of for act in acts)
        return {"recommender": manifest.recommender, "version": manifest.version, "entries": entries, "known": known}

    def _load(self, choice: Choice) -> _Loaded:
        if choice in self._loaded:
            self._loaded.move_to_end(choice)
            return self._loaded[choice]
        from udfs.scoring.scorer import Scorer  # seconds: it imports torch

        bundle = Bundle.load(self._folder(choice))
        fallbacks = BundleFallbacks.needed(None, self._lists).of(bundle)
        self._loaded[choice] = _Loaded(bundle, Scorer(bundle, self._scoring), fallbacks)
        if len(self._loaded) > _KEPT:
            self._loaded.popitem(last=False)
        return self._loaded[choice]

    def _registry(self) -> Registry:
        if self._config.registry is None:
            msg = "the server knows no registry"
            raise PageError(msg)
        return Registry(self._config.registry)

    def _folder(self, choice: Choice) -> Path:
        if choice.model is not None and choice.version is not None:
            return self._registry().fetch(choice.model, choice.version, Path(self._config.cache))
        if choice == Choice() and self._config.folder is not None:
            return Path(self._config.folder)
        msg = "there is no such bundle: load the page again"
        raise PageError(msg)

    def _track(self, acts: Sequence[Act]) -> TrackedBehavior:
        """Return the model's input after all acts, as track-users would send it as the user's first element."""
        profile, now_ms = UserProfile(), int(time.time() * 1000)
        for place, act in enumerate(acts):
            behavior = _behavior(act, now_ms - (len(acts) - place) * _STEP_MS)
            apply(profile, behavior, self._profiles)
        return msgspec.structs.replace(snapshot(profile, behavior, self._profiles), user_seq=1)


def _behavior(act: Act, timestamp: int) -> LoggedBehavior:
    behavior = UserBehavior(user_id=_USER, action=act.action, item_id=act.item_id, timestamp=timestamp)
    return without_log(behavior)


def _scored(tracked: TrackedBehavior, candidates: Candidates, scorer: "Scorer") -> ScoredBehavior:
    """Return what score-candidates would send on."""
    neighbors = scorer.disliked_neighbors(tracked.disliked)
    return with_candidates(tracked, candidates, neighbors=neighbors, model=0, batch_size=1)


def _title(bundle: Bundle, item: str) -> str:
    index = bundle.index_of.get(item)
    return "" if index is None else bundle.titles[index - 1]


def _group(bundle: Bundle, item: str) -> str:
    index = bundle.index_of.get(item)
    return "" if index is None else bundle.groups[index - 1]


if __name__ == "__main__":
    answer_questions(lambda config: WhatIf(msgspec.convert(config, WhatIfConfig)).by_kind())

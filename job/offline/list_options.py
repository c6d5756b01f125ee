"""The price of the options of lists: the same candidates by several rules, and each list looked up as its user acts.

Each behaviour after the bundle's cut-off is looked for in the list that its user had just before it, as in `recloop
evaluate --live`, but without a job: profiles, scores and lists are made by its functions, in order, in one process.
It also measures reasons: a history item that is named as one is taken out of the history, and the list made again.

Run `python -m job.offline.list_options DATASET BUNDLE`; both are folders. It prints Markdown.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

import msgspec

from job.settings.job_settings import JobSettings
from job.topology.rules import action_table, list_rules, profile_rules, scoring_rules
from model.actions import Kind
from model.bundles.bundle import Bundle
from model.datasets.prepared import Dataset
from model.evaluation.freshness import Act, Question, Refresh, Serving, Trace, look_up
from model.evaluation.measures import paired_bootstrap
from model.records import UserId
from udfs.elements import Candidates, TrackedBehavior, with_candidates, without_log
from udfs.hashing import id_hash, pack, unpack
from udfs.lists.fallbacks import BundleFallbacks
from udfs.lists.list_rules import Fallbacks, ListRules, Near
from udfs.lists.user_list import UserList, update
from udfs.scoring.scorer import Scorer
from udfs.users.profile import Applied, UserProfile, apply, snapshot

_AT_ONCE = 256
_TOP = 10
_RECENT = 5
"""Number of newest history items that may be a reason."""
_REASONS_TRIED = 2_000
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "as by default": {},
    "diversity 0.1": {"diversity": 0.1},
    "diversity 0.3": {"diversity": 0.3},
    "diversity 0.5": {"diversity": 0.5},
    "hysteresis 0.05": {"hysteresis": 0.05},
    "hysteresis 0.2": {"hysteresis": 0.2},
    "max_new_items 2": {"max_new_items": 2},
    "update_interval 1 minute": {"update_interval_ms": 60_000},
    "update_interval 1 hour": {"update_interval_ms": 3_600_000},
    "max_per_group 3": {"max_per_group": 3},
    "explore_share 0.05": {"explore_share": 0.05},
    "explore_share 0.2": {"explore_share": 0.2},
}


@dataclass(slots=True)
class _User:
    """One user's behaviours, and those that are scored: the last before the cut-off, and all later ones."""

    acts: list[Act] = field(default_factory=list)
    scored: list[TrackedBehavior] = field(default_factory=list)


def tracked_users(dataset: Dataset, settings: JobSettings, cut_off: int) -> dict[UserId, _User]:
    """Return the users, with their profiles as they stood at each behaviour."""
    actions = dataset.action_table
    rules, users = profile_rules(settings, actions), dict[UserId, _User]()
    profiles: dict[UserId, UserProfile] = {}
    for behavior in dataset.behaviors():
        kind = actions[behavior.action].kind
        user, profile = (
            users.setdefault(behavior.user_id, _User()),
            profiles.setdefault(behavior.user_id, UserProfile()),
        )
        enters = kind in {Kind.POSITIVE, Kind.TERMINAL}
        done = without_log(behavior)
        if apply(profile, done, rules) is not Applied.YES:
            continue
        user.acts.append(Act(behavior.item_id, behavior.timestamp, enters, kind is not Kind.EXPOSURE))
        if behavior.timestamp < cut_off:
            user.scored.clear()
        user.scored.append(snapshot(profile, done, rules))
    return users


def candidates_of(scorer: Scorer, users: Mapping[UserId, _User]) -> dict[UserId, list[Candidates]]:
    """Return the model's candidates after each behaviour that is scored."""
    asked = [(user_id, each) for user_id, user in users.items() for each in user.scored]
    found: dict[UserId, list[Candidates]] = {user_id: [] for user_id in users}
    for start in range(0, len(asked), _AT_ONCE):
        some = asked[start : start + _AT_ONCE]
        for (user_id, _), each in zip(some, scorer.score([tracked for _, tracked in some]), strict=True):
            found[user_id].append(each)
    return found


def lists_of(
    tracked: Sequence[TrackedBehavior], candidates: Sequence[Candidates], rules: ListRules, fallbacks: Fallbacks
) -> Iterator[UserList]:
    """Yield the list after each behaviour."""
    made = UserList(user_seq=tracked[0].user_seq - 1)
    for each, found in zip(tracked, candidates, strict=True):
        made = update(made, with_candidates(each, found), rules, fallbacks)
        yield made


def likeness(items: Sequence[str], near: Near) -> float:
    """Return the mean likeness of two items of a list, 0 to 1."""
    pairs = list(combinations(items, 2))
    alike = (max(near(one).get(other, 0.0), near(other).get(one, 0.0)) for one, other in pairs)
    return sum(alike) / len(pairs) if pairs else 0.0


def without(tracked: TrackedBehavior, item_id: str) -> TrackedBehavior:
    """Return the behaviour as if its user had never acted on the item, which stays excluded from lists."""
    hashes, times = unpack(tracked.history), memoryview(tracked.times).cast("I")
    gone = id_hash(item_id)
    kept = [place for place, each in enumerate(hashes) if each != gone]
    hashes_kept = unpack(b"")
    hashes_kept.extend(hashes[place] for place in kept)
    return msgspec.structs.replace(
        tracked,
        history=pack(hashes_kept),
        actions=bytes(tracked.actions[place] for place in kept),
        times=b"".join(times[place].to_bytes(4, "little") for place in kept),
        excluded=tracked.excluded + gone.to_bytes(8, "little", signed=True),
    )


def print_options(users: Mapping[UserId, _User], found: Mapping[UserId, list[Candidates]], bundle: Bundle) -> None:
    """Print a line an option: accuracy, its difference from the default, coverage, churn, likeness in last lists."""
    base = list_rules(_settings(bundle), action_table(_settings(bundle)))
    fallbacks = BundleFallbacks(None, with_groups=True, with_neighbors=True).of(bundle)
    cut_off = bundle.manifest.training.cut_off
    question = Question(cut_off, fallbacks.popular, _TOP, refreshes=[Refresh("behaviour", 1)])
    default = None
    print("| lists | HR@10 | NDCG@10 | NDCG@10 less the default's, 95 % | coverage | churn | likeness |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name, changes in _OPTIONS.items():
        rules, traces, alike = replace(base, **changes), list[Trace](), list[float]()
        for user_id, user in users.items():
            made = list(lists_of(user.scored, found[user_id], rules, fallbacks))
            traces.append(
                Trace(user.acts, [t.behavior.timestamp for t in user.scored], [tuple(each.items) for each in made])
            )
            alike.append(likeness(made[-1].items, fallbacks.near))
        answer = look_up(traces, question)
        outcome = answer.found["behaviour", Serving.STORED]
        gains = outcome.ranking.gains(_TOP)
        default = gains if default is None else default
        gap = paired_bootstrap(gains, default, answer.user)
        difference = f"{gap.difference:+.4f} [{gap.low:+.4f}, {gap.high:+.4f}]" if name != "as by default" else ""
        coverage, mean_alike = len(outcome.listed) / bundle.manifest.items, sum(alike) / len(alike)
        cells = (f"{(gains > 0).mean():.4f}", f"{gains.mean():.4f}", difference, f"{coverage:.3f}")
        print("|", " | ".join((name, *cells, f"{outcome.churn:.3f}", f"{mean_alike:.3f}")), "|", flush=True)


def print_reasons(scorer: Scorer, users: Mapping[UserId, _User], found: Mapping[UserId, list[Candidates]]) -> None:
    """Print the shares of items that fall in their list when the history loses their reason, or another recent item."""
    draw, cases = Random(0), list[tuple[TrackedBehavior, Candidates, str]]()
    for user_id, user in users.items():
        for tracked, each in zip(user.scored, found[user_id], strict=True):
            named = {reason for reason in each.because[:_TOP] if reason is not None}
            recent = set(unpack(tracked.history)[-_RECENT:])
            cases += [(tracked, each, reason) for reason in sorted(named) if len(recent - {id_hash(reason)})]
    cases = draw.sample(cases, min(_REASONS_TRIED, len(cases)))
    fell = {"its reason": [0, 0, 0], "another of the five newest": [0, 0, 0]}
    names = {id_hash(act.item_id): act.item_id for user in users.values() for act in user.acts}
    for start in range(0, len(cases), _AT_ONCE):
        some = cases[start : start + _AT_ONCE]
        asked = [without(tracked, reason) for tracked, _, reason in some]
        others = [_another(tracked, reason, names, draw) for tracked, _, reason in some]
        asked += [without(tracked, other) for (tracked, _, _), other in zip(some, others, strict=True)]
        answers = scorer.score(asked)
        for (_, each, reason), mine, other in zip(some, answers[: len(some)], answers[len(some) :], strict=True):
            items = [item for item, why in zip(each.items[:_TOP], each.because, strict=False) if why == reason]
            for label, now in (("its reason", mine), ("another of the five newest", other)):
                _count(fell[label], items, each.items, now.items)
    print("| taken out of the history | items | fall in rank | leave the first 10 |\n| --- | --- | --- | --- |")
    for label, (count, lower, left) in fell.items():
        print(f"| {label} | {count:,} | {lower / max(count, 1):.3f} | {left / max(count, 1):.3f} |")


def _count(counts: list[int], items: Sequence[str], before: Sequence[str], now: Sequence[str]) -> None:
    for item in items:
        rank = now.index(item) if item in now else len(before)
        counts[0] += 1
        counts[1] += rank > before.index(item)
        counts[2] += rank >= _TOP


def _another(tracked: TrackedBehavior, reason: str, names: Mapping[int, str], draw: Random) -> str:
    recent = [names[each] for each in unpack(tracked.history)[-_RECENT:] if each != id_hash(reason)]
    return draw.choice(recent)


def _settings(bundle: Bundle) -> JobSettings:
    return JobSettings.model_validate({"scoring": {"bundle": str(bundle.path)}, "lists": {"trend_weight": 0.0}})


def main(dataset: Path, folder: Path) -> None:
    """Measure the options and the reasons of one bundle on one data set."""
    bundle = Bundle.load(folder)
    settings = _settings(bundle)
    asked = replace(scoring_rules(settings, action_table(settings)), kept_users=0)
    scorer = Scorer(bundle, asked)
    users = tracked_users(Dataset.open(dataset), settings, bundle.manifest.training.cut_off)
    found = candidates_of(scorer, users)
    print_options(users, found, bundle)
    print_reasons(scorer, users, found)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("give a prepared data set and a bundle: python -m job.offline.list_options DATA BUNDLE")
    main(Path(sys.argv[1]), Path(sys.argv[2]))

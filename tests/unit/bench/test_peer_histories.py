"""Peers keep the histories that the job keeps: otherwise they would score others."""

from itertools import islice
from pathlib import Path

from job.bench.many_users import returns, rounds
from job.bench.workload import histories_after
from model.datasets.generate import Synthetic, generate
from model.records import UserBehavior
from tests.unit.udfs.default_rules import PROFILE
from udfs.elements import LoggedBehavior
from udfs.hashing import id_hash
from udfs.users.profile import UserProfile, apply

RULES = PROFILE


def logged(behavior: UserBehavior) -> LoggedBehavior:
    told = (behavior.user_id, behavior.action, behavior.item_id, behavior.timestamp)
    return LoggedBehavior(*told, None, None, None, 0, 0, None)


def profiles_after(behaviors: list[UserBehavior]) -> dict[str, UserProfile]:
    profiles: dict[str, UserProfile] = {}
    for behavior in behaviors:
        apply(profiles.setdefault(behavior.user_id, UserProfile()), logged(behavior), RULES)
    return profiles


def test_histories_are_the_jobs_own(tmp_path: Path) -> None:
    dataset = generate(Synthetic(users=5, items=40, behaviors=1_500, tastes=4), tmp_path / "data", "peers")
    behaviors = list(dataset.behaviors())
    profiles = profiles_after(behaviors)
    for user_id, history in histories_after(iter(behaviors)).items():
        assert list(map(id_hash, history)) == list(profiles[user_id].items)


def test_returns_of_what_nobody_bought_leave_histories_as_they_were() -> None:
    filled = list(rounds(3, 10, 2))
    before = profiles_after(filled)
    after = profiles_after([*filled, *returns(3, 10, 50, filled[-1].timestamp + 1)])
    assert [list(after[user].items) for user in sorted(after)] == [list(before[user].items) for user in sorted(before)]


def test_every_user_has_as_many_behaviours_in_whole_rounds() -> None:
    users = [behavior.user_id for behavior in islice(rounds(7, 10, 3), 14)]
    assert all(users.count(f"u{number}") == 2 for number in range(7))

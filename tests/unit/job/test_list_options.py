"""The measurement of list options: what it takes out of a history, and a whole run on a small bundle."""

from pathlib import Path

import pytest

from job.offline.list_options import likeness, main, without
from model.datasets.generate import Synthetic, generate
from tests.unit.model.tiny_bundle import write_tiny
from tests.unit.udfs.default_rules import PROFILE
from tests.unit.udfs.examples import NOW_MS, behavior, hashes
from udfs.users.profile import UserProfile, apply, snapshot

pytestmark = pytest.mark.heavy


def test_a_history_without_an_item_is_as_if_it_had_never_been_there() -> None:
    both, one = UserProfile(), UserProfile()
    for at, item in enumerate("aba"):
        did = behavior(item, "click" if item == "a" else "cart", at=NOW_MS + 1_000 * at)
        apply(both, did, PROFILE)
        if item == "b":
            apply(one, did, PROFILE)
    last = behavior("a", at=NOW_MS + 2_000)
    found, expected = without(snapshot(both, last, PROFILE), "a"), snapshot(one, last, PROFILE)
    assert (found.history, found.actions, found.times) == (expected.history, expected.actions, expected.times)
    assert found.excluded == expected.excluded + hashes("a")


def test_likeness_is_the_mean_over_pairs() -> None:
    near = {"a": {"b": 0.5}, "c": {"a": 1.0}}
    assert likeness("abc", lambda item: near.get(item, {})) == pytest.approx((0.5 + 1.0 + 0.0) / 3)
    assert likeness("a", lambda _: {}) == 0.0


def test_every_option_is_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    generate(Synthetic(users=9, items=20, behaviors=400, tastes=3), tmp_path / "set", "set")
    write_tiny(tmp_path / "bundle", "1")
    main(tmp_path / "set", tmp_path / "bundle")
    lines = capsys.readouterr().out.splitlines()
    assert len([line for line in lines if line.startswith("| ")]) >= 14
    assert "nan" not in "\n".join(lines)

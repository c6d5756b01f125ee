"""`recloop ab report`: the SQL equals plain loops, and its intervals hold what they promise."""

import json
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from job.ab_report import AbReportError, Question, Verdict, read_report
from job.ab_statistics import ratio_mismatch
from job.cli import app
from job.settings.job_settings import load
from job.settings.planned_job import JobPlan, PlannedJob
from tests.unit.tables.ab_by_hand import figures
from tests.unit.tables.rows import HOUR, behavior, commit, made_list

pytestmark = pytest.mark.heavy
ACTIONS = {"click", "buy"}


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """40 users of two variants and some without, up to 30 behaviours each; lists of 15 items out of 20."""
    draw = random.Random(7)
    acted, lists = [], []
    for number in range(40):
        user, variant = f"u{number}", draw.choice(["new", "old", None])
        for seq in range(draw.randrange(1, 30)):
            item = f"i{draw.randrange(20)}"
            action = draw.choice(["click", "buy", "dislike"])
            row = behavior(seq, user=user, item=item) | {"action": action, "log_partition": number}
            acted.append(row if draw.random() < 0.9 else row | {"outcome": "duplicate", "user_seq": None})
            shown = made_list(seq + 1, [f"i{place}" for place in draw.sample(range(20), 15)], user=user)
            lists.append(shown | {"variant": variant})
    commit(tmp_path / "user_behavior" / HOUR, "part-a-0", acted)
    commit(tmp_path / "recommendation_lists" / HOUR, "part-a-0", lists)
    return tmp_path


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, ["ab", "report", *map(str, arguments)])


@pytest.mark.parametrize("top", [1, 10])
def test_the_report_equals_plain_loops_over_the_same_tables(tables: Path, top: int) -> None:
    told = read_report(tables, Question(actions=ACTIONS, top=top))
    by_hand = figures(tables, ACTIONS, top)
    assert {each.name for each in told.variants} == by_hand.keys() == {"new", "old"}
    for each in told.variants:
        users, behaviors, hits, rate, error = by_hand[each.name]
        assert (each.trials.users, each.trials.behaviors, each.trials.hits) == (users, behaviors, hits)
        assert (each.hit_rate.value, each.hit_rate.error) == pytest.approx((rate, error))


@pytest.mark.parametrize(
    ("users", "weights", "chance"),
    [([50, 50], [1, 1], 1.0), ([60, 40], [1, 1], 0.0455), ([90, 10], [9, 1], 1.0), ([30, 20, 10], [1, 1, 1], 0.0067)],
)
def test_users_that_are_not_dealt_as_the_weights_say_are_told(
    users: list[int], weights: list[float], chance: float
) -> None:
    assert ratio_mismatch(users, weights) == pytest.approx(chance, abs=5e-5)


def test_since_leaves_out_what_was_shown_before(tables: Path) -> None:
    since = datetime.fromtimestamp(1_700_000_001.010, UTC)
    late, all_of_it = (
        read_report(tables, Question(actions=ACTIONS, since=each)).variants[0].trials.behaviors
        for each in (since, None)
    )
    assert 0 < late < all_of_it


def test_the_command_tells_how_sure_it_is(tables: Path, tmp_path: Path) -> None:
    told = call("--tables-dir", tables, "--dir", tmp_path / "none", "--baseline", "old")
    assert told.exit_code == 0
    assert "new and old: the difference's interval holds 0" in told.output
    answer = json.loads(call("--tables-dir", tables, "--dir", tmp_path / "none", "--json").output)
    new, old = answer["variants"]
    assert (new["variant"], new["difference"], old["variant"]) == ("new", None, "old")
    assert old["difference_interval"][0] < old["difference"] < old["difference_interval"][1]
    assert (answer["moved_users"], answer["sample_ratio_p"]) == (0, None)


def test_the_weights_of_the_deployment_are_compared_with_how_users_were_dealt(tables: Path, tmp_path: Path) -> None:
    weights = '{"new": {"weight": 1, "bundle": "n"}, "old": {"weight": 99, "bundle": "o"}}'
    settings = load(overrides=[f"models.variants={weights}"])
    PlannedJob(settings, JobPlan()).to_file(tmp_path / "deployments" / "recloop-20260101-000000.json")
    told = call("--tables-dir", tables, "--dir", tmp_path)
    assert "not compared. Users are not dealt as the weights say" in told.output
    assert report_of(tables, tmp_path)["variants"][1]["difference_interval"] is None


def test_users_that_were_dealt_anew_are_not_compared_until_since(tables: Path, tmp_path: Path) -> None:
    moved = [made_list(98 + seq, [], user="moved") | {"variant": name} for seq, name in enumerate(("new", "old"))]
    late = {"written_at": 1_700_000_100_000}
    later = [made_list(seq + 1, ["i1"], user=f"later{seq}") | {"variant": "new"} | late for seq in range(3)]
    commit(tables / "recommendation_lists" / HOUR, "part-b-0", [*moved, *later, moved[1] | late])
    said = call("--tables-dir", tables, "--dir", tmp_path).output
    assert "1 users had lists of several variants" in said
    assert "old and new: not compared, since users changed between variants" in said
    answer = report_of(tables, tmp_path)
    assert answer["variants"][1]["verdict"] == Verdict.DEALT_ANEW
    assert answer["variants"][1]["difference_interval"] is None
    assert report_of(tables, tmp_path, "--since", answer["settled_since"])["moved_users"] == 0


def test_the_deployments_own_actions_count_and_no_others(tables: Path, tmp_path: Path) -> None:
    own = behavior(3, user="u-own", item="i1") | {"action": "listen", "log_partition": 77}
    skipped = behavior(4, user="u-own", item="i1") | {"action": "skip", "log_partition": 77}
    commit(tables / "user_behavior" / HOUR, "part-b-0", [own, skipped])
    shown = made_list(1, ["i1"], user="u-own") | {"variant": "theirs"}
    commit(tables / "recommendation_lists" / HOUR, "part-b-0", [shown])
    other = {"weight": 1, "half_life": "P1D"}
    actions = json.dumps(
        {"listen": {"code": 40, "kind": "positive", **other}, "skip": {"code": 41, "kind": "negative", **other}}
    )
    settings = load(overrides=["lists.policy=history", f"actions={actions}"])
    PlannedJob(settings, JobPlan()).to_file(tmp_path / "deployments" / "recloop-20260101-000000.json")
    answer = report_of(tables, tmp_path)
    assert answer["actions"] == ["buy", "cart", "click", "favorite", "listen", "view"]
    assert [each["behaviors"] for each in answer["variants"] if each["variant"] == "theirs"] == [1]
    builtin = call("--tables-dir", tables, "--dir", tmp_path / "none").output
    assert "the built-in ones, since no deployment of that job is known here" in " ".join(builtin.split())


def report_of(tables: Path, cluster: Path, *arguments: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(call("--tables-dir", tables, "--dir", cluster, *arguments, "--json").output)
    return told


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--tables-dir", "none"), "give --tables-dir"),
        (("--baseline", "best"), "there are new, old"),
        (("--baseline", ""), "of a variant ''; there are new, old"),
        (("--since", "2026-01-31"), "with its zone"),
        (("--since", "soon"), "with its zone"),
        (("--since", "2999-01-01T00:00Z"), "older than --since; the newest is of 2023-11-14T22:13:"),
        (("--job-name", "../x"), "--job-name"),
    ],
)
def test_what_cannot_be_reported_is_refused_with_what_to_do(
    tables: Path, arguments: tuple[str, ...], said: str
) -> None:
    told = call("--tables-dir", tables, *arguments)
    assert told.exit_code in {1, 2}
    assert said in " ".join(told.stderr.replace("│", " ").split())


def test_tables_without_variants_hold_no_test(tmp_path: Path) -> None:
    with pytest.raises(AbReportError, match=r"deploy with models\.variants"):
        read_report(tmp_path, Question(actions=ACTIONS))

"""What Live's cards get of the tables and of a drill: the same as the commands report."""

import json
import random
from pathlib import Path

import pytest

from job.ab_report import Question, read_report
from job.page.drill_verdict import read_verdict
from job.page.tables_helper import TablesAnswers, TablesConfig
from job.settings.job_settings import load
from model.actions import DEFAULT_ACTIONS, history_actions
from tests.unit.tables.rows import HOUR, behavior, commit, letter, made_list

pytestmark = pytest.mark.heavy


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    """60 users of two variants who act; of the better one's lists more hold the next item. Ten dead letters."""
    draw = random.Random(3)
    acted, lists = [], []
    for number in range(60):
        user, variant = f"u{number}", ("old", "new")[number % 2]
        for seq in range(12):
            item = f"i{draw.randrange(20)}"
            acted.append(behavior(seq, user=user, item=item) | {"log_partition": number})
            shown = draw.sample(range(20), 14 if variant == "new" else 6)
            lists.append(made_list(seq + 1, [f"i{each}" for each in shown], user=user) | {"variant": variant})
    commit(tmp_path / "user_behavior" / HOUR, "part-a-0", acted)
    commit(tmp_path / "recommendation_lists" / HOUR, "part-a-0", lists)
    letters = [letter(n) | {"reason": "late" if n < 7 else "not_json", "detail": f"fault {n}"} for n in range(10)]
    commit(tmp_path / "dead_letters" / HOUR, "part-a-0", letters)
    return tmp_path


def answers(tables: Path) -> TablesAnswers:
    settings = load(defaults={"scoring": {"bundle": tables / "bundle"}, "tables": {"folder": tables}})
    return TablesAnswers(TablesConfig(tables=str(tables), settings=settings.model_dump(mode="json")))


def test_the_test_of_variants_is_that_of_the_report(tables: Path) -> None:
    report = read_report(tables, Question(actions=history_actions(DEFAULT_ACTIONS), known=DEFAULT_ACTIONS.keys()))
    test = answers(tables).ab()["test"]

    assert isinstance(test, dict)
    assert [each["name"] for each in test["variants"]] == ["new", "old"]
    for shown, variant in zip(test["variants"], report.variants, strict=True):
        assert shown["users"] == variant.trials.users == 30
        assert shown["rate"]["value"] == variant.hit_rate.value
        assert (shown["rate"]["low"], shown["rate"]["high"]) == variant.hit_rate.interval
        assert shown["verdict"] == variant.verdict
    json.dumps(test)


def test_dead_letters_are_counted_by_reason_the_most_frequent_first(tables: Path) -> None:
    found = answers(tables).facts()["dead_letters"]
    assert isinstance(found, list)
    assert [(each["reason"], each["letters"]) for each in found] == [("late", 7), ("not_json", 3)]


def test_tables_that_are_not_there_yet_are_empty(tmp_path: Path) -> None:
    found = answers(tmp_path)
    assert found.facts()["dead_letters"] == []
    assert found.ab() == {"test": None}
    assert found.sql("SELECT count(*) FROM user_behavior", rows=5)["rows"] == [[0]]


def test_a_verdict_is_shown_with_its_time_and_a_broken_one_is_named(tmp_path: Path) -> None:
    assert read_verdict(tmp_path) == {"verdict": None, "folder": str(tmp_path)}
    fault = {"name": "kill-task-manager", "lost": 0, "doubled": 0, "caught_up_s": None, "I1": True}
    file = tmp_path / "verdict.json"
    file.write_text(json.dumps({"ok": True, "faults": [fault], "control": {}}))
    shown = read_verdict(tmp_path)
    assert shown["verdict"]["ok"]
    assert shown["verdict"]["faults"][0]["name"] == "kill-task-manager"
    assert shown["at"] == int(file.stat().st_mtime * 1000)
    file.write_text("{")
    assert "cannot be read" in read_verdict(tmp_path)["problem"]

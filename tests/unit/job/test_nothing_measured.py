"""What was not measured is a dash or null, never 0; what cannot be met, or has no effect, is told."""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from job.cli import app
from job.offline.run import Order, Progress, Summary, score_users
from model.bundles.bundle import read_manifest
from model.datasets.generate import Synthetic, generate
from model.evaluation.evaluate import Ranking
from model.evaluation.measures import measures_of
from tests.unit.tables.rows import HOUR, behavior, commit, made_list

TRAIN = ("train", "./set", "--recommender", "popularity", "--out", "bundle")
EVALUATE = ("evaluate", "./set", "--recommender", "popularity")
SCORE = ("score", "./set", "--bundle", "bundle", "--out", "lists.jsonl")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    generate(Synthetic(users=9, items=20, behaviors=200, tastes=3), tmp_path / "set", "set")
    return tmp_path


def run(*words: str) -> Result:
    return CliRunner().invoke(app, words, env={"COLUMNS": "400"})


def test_a_model_without_targets_has_no_accuracy(folder: Path) -> None:
    shown = run(*TRAIN, "--cut", "1")
    assert shown.exit_code == 0, shown.output
    assert "0.0000" not in shown.output
    assert "The model's accuracy was not measured: no user does anything new after the cut-off." in shown.output
    metrics = read_manifest(folder / "bundle").metrics
    assert metrics == {"targets_known": 0.0, "targets_everyone": 0.0}


def test_no_accuracy_is_null_for_programs() -> None:
    shown = run(*TRAIN, "--cut", "1", "--json")
    assert json.loads(shown.stdout)["model"]["everyone"] == {"targets": 0, "hr_10": None, "ndcg_10": None}


def test_a_model_with_targets_of_new_users_alone_says_so(folder: Path) -> None:
    rows = [("old", item, 1_000 + at) for at, item in enumerate("abc")] + [
        ("new", item, 2_000 + at) for at, item in enumerate("ab")
    ]
    lines = (
        json.dumps({"user_id": user, "action": "click", "item_id": item, "timestamp": 1_700_000_000_000 + at}) + "\n"
        for user, item, at in rows
    )
    (folder / "log.jsonl").write_text("".join(lines))
    assert run("data", "prepare", "jsonl", "--path", "log.jsonl", "--name", "two", "--data-dir", ".").exit_code == 0
    shown = run("train", "./two", "--recommender", "popularity", "--out", "bundle", "--cut", "0.6")
    assert "No target is of a known user, so the accuracy for known users was not measured." in shown.output, (
        shown.output
    )


def test_lists_without_an_item_have_no_novelty() -> None:
    nothing = Ranking(items=np.zeros((2, 3), dtype=np.int64), rank=np.zeros(2, dtype=np.int64))
    measures = measures_of(nothing, np.array([0, 1, 1]), 10)
    assert np.isnan(measures.novelty)
    assert measures.hr == 0.0


def test_variants_that_nobody_used_have_no_rate(folder: Path) -> None:
    commit(folder / "tables" / "user_behavior" / HOUR, "part-a-0", [behavior(0, user="u", item="i1")])
    lists = [made_list(1, ["i1"], user=name) | {"variant": name} for name in ("new", "old")]
    commit(folder / "tables" / "recommendation_lists" / HOUR, "part-a-0", lists)
    asked = ("ab", "report", "--tables-dir", "tables", "--dir", "none", "--action", "dislike")
    shown = run(*asked)
    assert shown.exit_code == 0, shown.output
    assert "0.0000" not in shown.output
    assert "No user did a counted action after a list, so no rate was measured." in shown.output
    for variant in json.loads(run(*asked, "--json").stdout)["variants"]:
        assert (variant["hit_rate"], variant["difference"]) == (None, None)


@pytest.mark.parametrize("command", [EVALUATE, SCORE])
def test_longer_lists_than_there_are_items_are_told(command: tuple[str, ...]) -> None:
    run(*TRAIN)
    shown = run(*command, "--top", "1000", "--json")
    assert shown.exit_code == 0, shown.output
    assert re.search(r"warning: there are \d\d items, so no list has 1,000 \(--top", shown.stderr)
    assert "warning" not in run(*command, "--top", "5").output


def test_more_items_than_a_bundle_returns_are_refused_by_evaluate(folder: Path) -> None:
    run(*TRAIN, "--k", "10")
    shown = run("evaluate", "./set", "--bundle", "bundle", "--top", "11")
    assert shown.exit_code == 2
    assert "bundle returns 10 items at most: give --top 10 or less, or train it again with --k 11" in shown.output


def test_candidates_are_set_once(folder: Path) -> None:
    run(*TRAIN)
    for words, length in (
        ((), 10),
        (("--top", "4"), 4),
        (("--set", "scoring.candidates=3"), 3),
        (("--set", "scoring.candidates=3", "--top", "4"), None),
    ):
        shown = run(*SCORE, *words, "--set", "lists.exclude_seen=false")
        if length is None:
            assert shown.exit_code == 2
            assert "--top and --set scoring.candidates are the same: give one of them" in shown.output
        else:
            assert shown.exit_code == 0, shown.output
            assert len(json.loads((folder / "lists.jsonl").read_text().splitlines()[0])["items"]) == length


@pytest.mark.parametrize("words", [("--cut", "0.5"), ("--cut-off", "1704067200001"), ("--targets-per-user", "3")])
def test_what_leave_one_out_has_no_use_for_is_refused(words: tuple[str, str]) -> None:
    shown = run(*EVALUATE, *words)
    assert shown.exit_code == 2, shown.output
    assert f"{words[0]} has no effect on leave-one-out: leave it out, or give --protocol time-split" in shown.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--protocol", "time-split", "--recommender", "popularity", "--cut-off", "1704067200001"), "beside --cut-off"),
        (("--bundle", "bundle"), "on --bundle"),
    ],
)
def test_a_share_that_no_test_has_use_for_is_refused(words: tuple[str, ...], told: str) -> None:
    run(*TRAIN)
    shown = run("evaluate", "./set", *words, "--cut", "0.5")
    assert shown.exit_code == 2, shown.output
    assert f"--cut has no effect {told}" in shown.output


def test_a_share_divides_the_validation_of_bundles() -> None:
    run(*TRAIN, "--cut", "0.4")
    shown = run("evaluate", "./set", "--recommender", "popularity", "--protocol", "time-split", "--cut", "0.5")
    assert shown.exit_code == 0, shown.output
    words = ("--protocol", "time-split", "--cut-off", "1705500000000", "--on", "validation", "--cut", "0.5")
    shown = run(*EVALUATE, *words)
    assert shown.exit_code == 0, shown.output


def test_options_of_a_time_split_say_that_they_are() -> None:
    shown = run("evaluate", "--help").output
    for option in ("--cut ", "--cut-off ", "--targets-per-user "):
        assert re.search(rf"{option}.* time-split: ", shown), shown
    assert "a bundle's own by default" in shown


def test_an_unknown_recommender_is_refused_before_torch_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    shown = run("train", "./set", "--recommender", "nobody")
    assert shown.exit_code == 1
    assert "nobody" in shown.output


def test_scores_that_are_written_are_reported_whatever_becomes_of_the_bundle(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scored(order: Order, progress: Progress) -> Summary:
        summary = score_users(order, progress)
        shutil.rmtree(folder / "bundle")
        return summary

    run(*TRAIN)
    monkeypatch.setattr("job.commands.score.score_users", scored)
    shown = run(*SCORE, "--top", "1000")
    assert shown.exit_code == 0, shown.output
    assert "so no list has 1,000 (--top, scoring.candidates)" in shown.stderr


@pytest.mark.parametrize("option", ["--epochs", "--negatives"])
def test_an_option_that_a_recommender_has_no_use_for_is_refused_as_it_is_written(option: str) -> None:
    shown = run(*TRAIN, option, "3")
    assert shown.exit_code == 1
    assert f"{option} is for " in shown.output

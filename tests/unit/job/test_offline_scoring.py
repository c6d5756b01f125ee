"""Every user is scored once, as the job would, whatever ended an earlier run and however many processes there are."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from job.cli import app
from job.offline.run import OfflineError, Order, score_users
from job.offline.score import own_device
from job.offline.split import FEWEST_PARTS
from job.settings.job_settings import load
from model.bundles.bundle import Bundle, Contents, Manifest, Training, write_bundle
from model.bundles.torchscript import save_script
from model.datasets.generate import Synthetic, generate
from model.datasets.json_lines import encode_behavior
from model.datasets.prepared import Dataset, DatasetInfo, write_behaviors, write_catalogue, write_info
from model.folders import NotOursError
from model.recommenders.popularity import Popularity
from model.records import UserBehavior
from tests.unit.udfs.default_rules import DEVICE

pytestmark = pytest.mark.heavy
ITEMS = 30
IDS = tuple(f"i{number:02}" for number in range(1, ITEMS + 1))
Line = dict[str, Any]


def bundle_in(folder: Path, counts: range = range(ITEMS + 1)) -> Bundle:
    """Says that the last item is the most popular; neighbours are the next two."""
    near = np.array([[0, 0], *([n % ITEMS + 1, (n + 1) % ITEMS + 1] for n in range(1, ITEMS + 1))])
    contents = Contents(
        model=save_script(Popularity(np.array(counts), 20)),
        vocabulary=IDS,
        titles=IDS,
        groups=("",) * ITEMS,
        neighbors=near,
        popularity=(),
    )
    training = Training(dataset="d", fingerprint="f", cut_off=1, behaviors=1)
    manifest = Manifest(name="m", version="7", created_at="", history_length=5, k=20, training=training)
    return write_bundle(folder, contents, manifest)


def dataset_of(folder: Path, rows: list[tuple[str, str, str]]) -> Dataset:
    """Of (user, action, item), in time order."""
    folder.mkdir()
    behaviors = [UserBehavior(user, action, item, 1_000 * at) for at, (user, action, item) in enumerate(rows)]
    digest = write_behaviors(folder, [encode_behavior(each) + b"\n" for each in behaviors])
    write_catalogue(folder, [])
    info = DatasetInfo(
        name="d",
        behaviors=len(rows),
        users=len({row[0] for row in rows}),
        items=ITEMS,
        first_timestamp=0,
        last_timestamp=1_000 * len(rows),
        fingerprint=digest,
        actions="",
        source={},
        skipped={},
    )
    write_info(folder, info)
    return Dataset.open(folder)


@pytest.fixture
def many(tmp_path: Path) -> Dataset:
    return generate(Synthetic(users=400, items=ITEMS, behaviors=4_000, tastes=3), tmp_path / "many", "many")


def order_of(dataset: Dataset, out: Path, *settings: str, processes: int = 1) -> Order:
    bundle = f"scoring.bundle={json.dumps(str(out.parent / 'bundle'))}"
    if not (out.parent / "bundle").exists():
        bundle_in(out.parent / "bundle")
    return Order(dataset, load(None, [bundle, "scoring.candidates=3", *settings]).resolved(), out, processes)


def lines_in(out: Path) -> list[Line]:
    files = sorted(out.glob("part-*.jsonl")) if out.is_dir() else [out]
    return [json.loads(line) for file in files for line in file.read_bytes().splitlines()]


def items_by_user(rows: list[tuple[str, str, str]], tmp_path: Path, *settings: str) -> dict[str, list[str]]:
    out = tmp_path / "out.jsonl"
    score_users(order_of(dataset_of(tmp_path / "d", rows), out, *settings))
    return {line["user_id"]: line["items"] for line in lines_in(out)}


def test_a_user_is_not_offered_what_was_met_bought_or_disliked_or_is_near_it(tmp_path: Path) -> None:
    rows = [
        ("clicks", "click", "i30"),
        ("buys", "buy", "i29"),
        ("dislikes", "dislike", "i26"),  # its neighbours are 27 and 28
        ("returns", "buy", "i30"),
        ("returns", "return", "i30"),
        ("wonders", "no such action", "i30"),
    ]
    assert items_by_user(rows, tmp_path, "lists.exclude_seen=false") == {
        "clicks": ["i30", "i29", "i28"],
        "buys": ["i30", "i28", "i27"],
        "dislikes": ["i30", "i29", "i25"],
        "returns": ["i30", "i29", "i28"],
        "wonders": ["i30", "i29", "i28"],
    }


def test_what_was_met_is_left_out_by_default(tmp_path: Path) -> None:
    assert items_by_user([("u", "click", "i30"), ("u", "view", "i28")], tmp_path) == {"u": ["i29", "i27", "i26"]}


def test_a_line_says_which_model_it_is_from(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    summary = score_users(order_of(dataset_of(tmp_path / "d", [("u", "wink", "i30"), ("u", "view", "i1")]), out))
    (line,) = lines_in(out)
    assert line == {
        "user_id": "u",
        "items": ["i30", "i29", "i28"],
        "scores": [30.0, 29.0, 28.0],
        "model_version": "7",
        "model_hash": Bundle.load(tmp_path / "bundle").hash,
    }
    assert (summary.users, summary.unknown_actions) == (1, 1)


def test_a_folder_has_the_lines_of_a_file_and_a_summary(many: Dataset, tmp_path: Path) -> None:
    for out in (tmp_path / "one.jsonl", tmp_path / "parts"):
        summary = score_users(order_of(many, out))
    assert lines_in(tmp_path / "parts") == lines_in(tmp_path / "one.jsonl")
    assert json.loads((tmp_path / "parts" / "scores.json").read_bytes())["users"] == summary.users
    assert len({line["user_id"] for line in lines_in(tmp_path / "parts")}) == summary.users == many.info.users
    assert not list(tmp_path.glob(".*"))


class Unplugged(Exception):
    """The run ends before it is through."""


def unplugged_after(users: int) -> Callable[[str, int, int], None]:
    def told(what: str, done: int, _total: int) -> None:
        if what == "scoring" and done >= users:
            raise Unplugged

    return told


def test_a_run_that_ended_is_gone_on_with(many: Dataset, tmp_path: Path) -> None:
    score_users(order_of(many, tmp_path / "whole.jsonl"))
    out = tmp_path / "out.jsonl"
    with pytest.raises(Unplugged):
        score_users(order_of(many, out), unplugged_after(200))
    draft = tmp_path / ".out.jsonl.scoring"
    done = sorted(draft.glob("part-*.jsonl"))
    assert 0 < len(done) < FEWEST_PARTS
    marked = json.dumps({"user_id": "was here before"}).encode() + b"\n"
    done[0].write_bytes(marked)  # so that it shows whether it is scored once more
    score_users(order_of(many, out))
    assert out.read_bytes().startswith(marked)
    assert lines_in(out)[-100:] == lines_in(tmp_path / "whole.jsonl")[-100:]
    assert not draft.exists()


@pytest.mark.parametrize("change", ["bundle", "settings"])
def test_what_another_order_left_is_not_gone_on_with(many: Dataset, tmp_path: Path, change: str) -> None:
    out = tmp_path / "out.jsonl"
    with pytest.raises(Unplugged):
        score_users(order_of(many, out), unplugged_after(200))
    settings = ["lists.exclude_seen=false"] if change == "settings" else []
    if change == "bundle":
        bundle_in(tmp_path / "bundle", range(ITEMS, -1, -1))
    for result in (out, tmp_path / "fresh.jsonl"):
        score_users(order_of(many, result, *settings))
    assert out.read_bytes() == (tmp_path / "fresh.jsonl").read_bytes()


def test_a_folder_of_something_else_is_not_replaced(many: Dataset, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    with pytest.raises(NotOursError, match="something else"):
        score_users(order_of(many, tmp_path / "mine"))
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(OfflineError, match="holds no scores"):
        score_users(order_of(many, tmp_path / "thesis.txt"))
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_two_runs_for_one_result_are_not_mixed(many: Dataset, tmp_path: Path) -> None:
    order = order_of(many, tmp_path / "out.jsonl")

    def run_another(*_: object) -> None:
        score_users(order)

    with pytest.raises(OfflineError, match="another recloop score"):
        score_users(order, run_another)


def test_more_items_than_the_model_returns_are_refused(many: Dataset, tmp_path: Path) -> None:
    with pytest.raises(OfflineError, match="returns 20 items at most"):
        score_users(order_of(many, tmp_path / "out.jsonl", "scoring.candidates=21"))


def test_the_command_reports_and_refuses(many: Dataset, tmp_path: Path) -> None:
    bundle_in(tmp_path / "bundle")
    arguments = ["score", str(many.path), "--out", str(tmp_path / "out.jsonl"), "--json"]
    done = CliRunner().invoke(app, [*arguments, "--bundle", str(tmp_path / "bundle")])
    assert json.loads(done.stdout)["users"] == many.info.users
    refused = CliRunner().invoke(app, arguments)
    assert refused.exit_code == 1
    assert "scoring.bundle is needed" in refused.output


@pytest.mark.parametrize(
    ("device", "gpus", "own"),
    [
        ("cuda", 2, ["cuda:0", "cuda:1", "cuda:0"]),
        ("cuda", 0, ["cuda"] * 3),
        ("cuda:1", 2, ["cuda:1"] * 3),
        ("cpu", 2, ["cpu"] * 3),
    ],
)
def test_of_the_device_cuda_each_process_has_a_gpu_of_its_own(device: str, gpus: int, own: list[str]) -> None:
    assert [own_device(replace(DEVICE, name=device), rank, gpus).name for rank in range(3)] == own

"""Preparing: time order, counts, and folders that appear whole."""

import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.datasets.errors import NotPreparedError, SourceError
from model.datasets.external_sort import sorted_lines
from model.datasets.generate import Synthetic, generate
from model.datasets.json_lines import decode_behavior, encode_behavior
from model.datasets.prepare import Request, prepare
from model.datasets.prepared import Dataset
from model.datasets.reading import Format
from model.datasets.sources import SOURCES
from model.records import UserBehavior

texts = st.text(min_size=1, max_size=20)
behaviors = st.builds(
    UserBehavior,
    texts,
    texts,
    texts,
    st.integers(0, 2**53),
    st.none() | texts,
    st.none() | texts,
    st.none() | st.integers(0, 99),
)


def a_request(tmp_path: Path) -> Request:
    path = tmp_path / "log.jsonl"
    rows = [UserBehavior(f"u{n % 3}", "click", f"i{n}", 100 - n) for n in range(10)]
    path.write_bytes(b"\n".join(map(encode_behavior, rows)))
    return Request("mine", "jsonl", path, SOURCES["jsonl"].actions)


@settings(max_examples=50)
@given(behaviors)
def test_a_behaviour_survives_its_line(behavior: UserBehavior) -> None:
    assert decode_behavior(encode_behavior(behavior)) == behavior


def test_fields_that_are_none_are_left_out() -> None:
    line = encode_behavior(UserBehavior("u", "click", "i", 5))
    assert line == b'{"user_id":"u","action":"click","item_id":"i","timestamp":5}'


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 5), max_size=30), st.integers(1, 7))
def test_sorting_is_by_time_and_stable_however_small_the_chunks(times: list[int], chunk_rows: int) -> None:
    rows = [UserBehavior("u", "click", str(n), time) for n, time in enumerate(times)]
    with TemporaryDirectory() as scratch:
        lines = list(sorted_lines(rows, Path(scratch), chunk_rows=chunk_rows))
    assert list(map(decode_behavior, lines)) == sorted(rows, key=lambda row: row.timestamp)


def test_a_prepared_set_says_what_is_in_it(tmp_path: Path) -> None:
    dataset = prepare(a_request(tmp_path), tmp_path / "out").dataset
    info = dataset.info
    assert (info.behaviors, info.users, info.items) == (10, 3, 10)
    assert (info.first_timestamp, info.last_timestamp) == (91, 100)
    assert info.fingerprint == hashlib.sha256(dataset.behaviors_path.read_bytes()).hexdigest()
    assert [b.timestamp for b in dataset.behaviors()] == list(range(91, 101))
    assert dataset.items().keys() == {f"i{n}" for n in range(10)}


def test_preparing_again_changes_nothing(tmp_path: Path) -> None:
    request = a_request(tmp_path)
    prepare(request, tmp_path / "out")
    assert prepare(request, tmp_path / "out").report is None
    assert prepare(request, tmp_path / "out", force=True).report is not None


def test_a_changed_source_is_prepared_again(tmp_path: Path) -> None:
    request = a_request(tmp_path)
    prepare(request, tmp_path / "out")
    request.path.write_bytes(encode_behavior(UserBehavior("u", "click", "i", 1)))
    assert prepare(request, tmp_path / "out").dataset.info.behaviors == 1


def test_a_source_without_a_usable_row_leaves_nothing(tmp_path: Path) -> None:
    request = a_request(tmp_path)
    request.path.write_text("{}\n")
    with pytest.raises(SourceError, match="none of 1 rows"):
        prepare(request, tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == ["log.jsonl"]


def test_an_ordinary_folder_is_no_data_set(tmp_path: Path) -> None:
    with pytest.raises(NotPreparedError, match="recloop data prepare"):
        Dataset.open(tmp_path)


def test_generating_twice_gives_equal_bytes(tmp_path: Path) -> None:
    shape = Synthetic(users=50, items=40, behaviors=500, tastes=4, seed=7)
    first, second = (generate(shape, tmp_path / name, "synthetic") for name in ("a", "b"))
    assert first.info == second.info
    times = [b.timestamp for b in first.behaviors()]
    assert times == sorted(times)
    assert (times[0], times[-1]) == (first.info.first_timestamp, first.info.last_timestamp)


def test_generated_users_lean_to_few_tastes(tmp_path: Path) -> None:
    dataset = generate(Synthetic(users=1, items=400, behaviors=400, tastes=20), tmp_path / "out", "s")
    items = dataset.items()
    groups = [items[b.item_id].group for b in dataset.behaviors()]
    share_of_two = sum(sorted((groups.count(g) for g in set(groups)), reverse=True)[:2]) / len(groups)
    assert share_of_two > 0.8


@pytest.mark.parametrize("wrong", [{"users": 0}, {"tastes": 9, "items": 3}, {"zipf": -1.0}])
def test_an_impossible_shape_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="or more"):
        Synthetic(**wrong)


@pytest.mark.parametrize(
    "wrong", [{"zipf": math.nan}, {"zipf": math.inf}, {"days": math.nan}, {"days": 1e12}, {"days": 0.0}, {"seed": -1}]
)
def test_a_shape_whose_times_or_masses_are_no_numbers_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="is 0 or more"):
        Synthetic(**wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("added", ["y.parquet", "year=2023/month=11/y.parquet"])
def test_a_file_added_anywhere_is_prepared(added: str, tmp_path: Path) -> None:
    folder = tmp_path / "deep"
    for name in ("x.parquet", added):
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        with duckdb.connect() as connection:
            row = f"SELECT 'u' AS user_id, '{name}' AS item_id, 'click' AS action, 1700000000 AS timestamp"
            connection.execute(f"COPY ({row}) TO '{file}' (FORMAT parquet)")
        request = Request("deep", "parquet", folder, SOURCES["parquet"].actions)
        assert prepare(request, tmp_path / "out").report is not None
    assert Dataset.open(tmp_path / "out").info.behaviors == 2
    assert prepare(request, tmp_path / "out").report is None


def test_a_catalogue_of_other_items_is_told(tmp_path: Path) -> None:
    items = tmp_path / "items.csv"
    for ids, told in ({"i1": "", "x": "No behaviour has an item of the catalogue", "": "has no item"}).items():
        items.write_text(f"item_id,title\n{ids},\n" if ids else "item_id,title\n")
        request = replace(
            a_request(tmp_path), items=items, item_form=Format(columns={"item": "item_id", "title": "title"})
        )
        remarks = " ".join(prepare(request, tmp_path / "out").dataset.info.remarks)
        assert (told in remarks, str(items) in remarks) == (True, bool(told))


@pytest.mark.parametrize("name", ["first_timestamp", "last_timestamp"])
@pytest.mark.parametrize("time", [10**30, -1, 253_402_300_800_000])
def test_a_summary_with_impossible_times_is_damaged(name: str, time: int, tmp_path: Path) -> None:
    prepare(a_request(tmp_path), tmp_path / "out")
    file = tmp_path / "out" / "dataset.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), name: time}))
    with pytest.raises(NotPreparedError, match=r"/out is no .*dataset\.json.*make one"):
        Dataset.open(tmp_path / "out")

"""Files of old deployments go, and nothing that is still needed, or that no deployment wrote."""

import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job.deployment.history import DeploymentHistory, Shipped, Step, as_fields
from job.deployment.leftovers import KEPT, remove_old_files

OUTCOMES = st.sampled_from([Step.CONFIRMED, Step.FAILED, None])
DEPLOYMENTS = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 30), OUTCOMES), max_size=40)


def shipped(folder: Path, job: str, number: int, code: int) -> Shipped:
    """Files as a deployment writes them, made long ago."""
    name = f"recloop_{code:012x}"
    files = Shipped(
        folder / f"{job}-20260101-000000-{number:06d}.json",
        folder / "code" / f"{name}.zip",
        folder / "code" / f"{name}_main.py",
    )
    for file in files.files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        make_old(file)
    return files


def make_old(file: Path) -> None:
    then = time.time() - 90_000
    os.utime(file, (then, then))


def deployed(folder: Path, job: str, number: int, files: Shipped, outcome: Step | None) -> None:
    history = DeploymentHistory(folder, job)
    history.write(Step.BEGUN, number, 0, **as_fields(files))
    history.write(Step.SUBMITTING, number, 0, job_id=f"{number}", uri=None, **as_fields(files))
    if outcome is not None:
        history.write(outcome, number, 0, job_id=f"{number}")


@pytest.mark.heavy
@settings(max_examples=30, deadline=None)
@given(deployments=DEPLOYMENTS)
def test_what_counts_and_the_newest_of_each_job_stay(
    tmp_path_factory: pytest.TempPathFactory, deployments: list[tuple[str, int, Step | None]]
) -> None:
    folder = tmp_path_factory.mktemp("deployments")
    made: dict[str, list[Shipped]] = {"a": [], "b": []}
    for number, (job, code, outcome) in enumerate(deployments, 1):
        made[job].append(shipped(folder, job, number, code))
        deployed(folder, job, number, made[job][-1], outcome)
    remove_old_files(folder)

    histories = [DeploymentHistory(folder, job) for job in "ab"]
    needed = [each for files in made.values() for each in files[-KEPT:]]
    needed += [each.newest.shipped for each in histories if each.newest]
    assert all(each.is_there for each in needed)
    kept = {file for each in needed for file in each.files}
    assert set(folder.rglob("*.json")) == {file for file in kept if file.suffix == ".json"}
    assert set((folder / "code").glob("*")) == {file for file in kept if file.parent != folder}


def test_what_no_deployment_wrote_or_another_may_have_written_just_now_stays(tmp_path: Path) -> None:
    folder = tmp_path / "deployments"
    elsewhere = shipped(tmp_path / "elsewhere", "a", 1, 1)
    mine = [folder / "a-20260101-000000-000001.json", folder / "code" / "recloop_0123456789ab.zip", folder / "notes"]
    deployed(folder, "a", 1, elsewhere, Step.CONFIRMED)
    fresh, old = shipped(folder, "a", 2, 2), shipped(folder, "a", 3, 3)
    for number, files in ((2, fresh), (3, old)):
        deployed(folder, "a", number, files, Step.CONFIRMED)
    fresh.archive.touch()
    for number in range(4, KEPT + 4):
        deployed(folder, "a", number, shipped(folder, "a", number, number), Step.CONFIRMED)
    for file in mine:
        file.touch()
        make_old(file)
    remove_old_files(folder)

    assert elsewhere.is_there
    assert all(file.exists() for file in mine)
    assert fresh.archive.exists()
    assert not any(file.exists() for file in old.files)


@pytest.mark.parametrize("content", ["", "{}\n", '{"version": 1, "step": "begun"}\n', '{"version": 99}\n'])
def test_where_a_history_is_not_understood_all_stays(tmp_path: Path, content: str) -> None:
    for number in range(1, KEPT + 3):
        deployed(tmp_path, "a", number, shipped(tmp_path, "a", number, number), Step.CONFIRMED)
    (tmp_path / "b.history.jsonl").write_text(content)
    before = set(tmp_path.rglob("*.zip"))
    remove_old_files(tmp_path)

    assert (set(tmp_path.rglob("*.zip")) == before) == bool(content)


def test_one_folder_named_in_two_ways_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    deployed(Path("d"), "a", 1, shipped(Path("d"), "a", 1, 1), Step.CONFIRMED)
    for number in range(2, KEPT + 2):
        deployed(tmp_path / "d", "a", number, shipped(tmp_path / "d", "a", number, 1), Step.CONFIRMED)
    for folder in (Path("d"), tmp_path / "d"):
        remove_old_files(folder)

    assert len(list((tmp_path / "d" / "code").iterdir())) == 2
    assert not (tmp_path / "d" / "a-20260101-000000-000001.json").exists()

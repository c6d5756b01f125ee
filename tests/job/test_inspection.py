"""A real job's checkpoint, savepoint and tables: all state is read as it is, and every list is made again as it was."""

import json
import shutil
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest
from typer.testing import CliRunner

from job.checkpoints.checkpoint import Checkpoint, open_checkpoint
from job.checkpoints.contents import CheckpointError
from job.checkpoints.found import find_checkpoints
from job.checkpoints.state_rows import list_row
from job.cli import app
from job.cluster import FlinkRest, RunningCluster
from job.cluster.uris import local_path
from job.explain.inputs import Deployments
from job.explain.reasons import gone_items, item_reasons
from job.explain.recompute import Recomputed, recompute
from job.explain.records import read_records
from model.bundles.bundle import Bundle
from model.datasets.json_lines import encode_behavior
from model.datasets.prepared import Dataset
from model.records import UserBehavior
from tests.job.fixtures import PARTITIONS, Run, jobs_on, write_log
from udfs.hashing import stable_hash
from udfs.log.file_log import partition_file

pytestmark = [pytest.mark.cluster, pytest.mark.slow]
BEHAVIORS = 1_500
STRANGE = "žluť-ж-😀"
SETTINGS = ("lists.max_new_items=4", "lists.max_per_group=3", "trends.interval=1")


class Inspected(NamedTuple):
    """A job that was stopped, and what it left."""

    run: Run
    log: Path
    user: str
    checkpoint: Path
    savepoint: Path
    deployments: Path

    def explain(self, user: str, at: tuple[int, int] | None = None) -> Recomputed:
        recorded = read_records(self.run.tables, user, at)
        return recompute(recorded, Deployments(self.deployments, "recloop"))


@pytest.fixture(scope="module")
def job(
    cluster: RunningCluster, bundle: Bundle, ml_100k: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Inspected:
    folder = tmp_path_factory.mktemp("inspected")
    behaviors = list(islice(ml_100k.behaviors(), BEHAVIORS))
    lines = list(logged(behaviors))
    write_log(folder / "log", lines)
    with jobs_on(cluster, bundle, folder) as deploy, FlinkRest(cluster.rest_url) as rest:
        run = deploy(folder / "log", *SETTINGS)
        job_id = run.deployment.job_id
        run.wait_for_offsets(len(lines))
        body = {"cancel-job": False, "formatType": "CANONICAL"}
        begun = rest.call("POST", f"/jobs/{job_id}/savepoints", json=body)
        savepoint = local_path(rest.savepoint_of(job_id, begun["request-id"]))
    (newest, *_) = reversed([each for each in find_checkpoints(job_id, cluster.directory) if not each.is_savepoint])
    assert savepoint is not None
    deployments = cluster.directory / "deployments"
    return Inspected(run, folder / "log", behaviors[0].user_id, newest.path, savepoint, deployments)


def logged(behaviors: list[UserBehavior]) -> list[tuple[int, bytes]]:
    """The behaviours, some repeated, some bad, and a user who did everything."""
    first, last = behaviors[0], behaviors[-1]
    acts = (("50", "impression"), ("50", "impression"), ("100", "dislike"), ("181", "buy"), ("181", "return"))
    more = [replace(last, user_id=first.user_id, item_id=item, action=action) for item, action in acts]
    found = []
    for number, behavior in enumerate([*behaviors, *more, replace(last, user_id=STRANGE, item_id="7")]):
        line = encode_behavior(replace(behavior, event_id=f"event-{number}"))
        partition = stable_hash(behavior.user_id) % PARTITIONS
        found += [(partition, line)] * (2 if number % 40 == 7 else 1)
        if number % 50 == 3:
            found.append((partition, b"not json"))
    return found


def lists_in_tables(run: Run) -> dict[str, tuple[object, ...]]:
    rows = run.rows("SELECT user_id, list_version, user_seq, items, scores, reasons FROM latest_recommendation_lists")
    return {str(user): (version, seq, items, scores, reasons) for user, version, seq, items, scores, reasons in rows}


def lists_in(checkpoint: Checkpoint) -> dict[str, tuple[object, ...]]:
    rows = (list_row(*each) for each in checkpoint.lists())
    return {row.user_id: (row.list_version, row.user_seq, row.items, row.scores, row.reasons) for row in rows}


def test_a_savepoint_and_a_checkpoint_hold_every_users_list_and_profile(job: Inspected) -> None:
    expected = lists_in_tables(job.run)
    assert STRANGE in expected
    rows = job.run.rows("SELECT user_id, max(user_seq) FROM user_behavior WHERE outcome = 'applied' GROUP BY 1")
    numbers = {str(row[0]): row[1] for row in rows}
    ends = [partition_file(job.log, partition).read_bytes().count(b"\n") for partition in range(PARTITIONS)]
    for path in (job.savepoint, job.checkpoint):
        with open_checkpoint(path) as found:
            assert lists_in(found) == expected
            assert {user: profile.user_seq for user, profile in found.profiles()} == numbers
            assert [position.next_offset for position in found.positions()] == ends
            assert found.user(STRANGE).profile is not None


def test_damaged_metadata_is_refused_in_a_sentence(job: Inspected, tmp_path: Path) -> None:
    content = (job.savepoint / "_metadata").read_bytes()
    for name, damaged in {"cut": content[: len(content) // 2], "none": b"", "other": b"x" * 99}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "_metadata").write_bytes(damaged)
        with pytest.raises(CheckpointError, match="_metadata cannot be read by Flink"):
            open_checkpoint(tmp_path / name).__enter__()


def test_the_commands_show_it(job: Inspected) -> None:
    def answered(*words: str) -> str:
        result = CliRunner().invoke(app, words, env={"COLUMNS": "300"}, catch_exceptions=False)
        assert result.exit_code == 0, result.output
        return result.stdout

    query = "select user_id, list_version, len(history) from users join lists using (user_id) order by 1"
    rows = json.loads(answered("sql", "--checkpoint", str(job.savepoint), query, "--json"))["rows"]
    assert {row["user_id"]: row["list_version"] for row in rows} == {
        user: row[0] for user, row in lists_in_tables(job.run).items()
    }
    shown = json.loads(answered("checkpoint", "show", str(job.savepoint), "--user", job.user, "--json"))
    assert shown["list"]["items"] == lists_in_tables(job.run)[job.user][2]
    assert "100" in shown["profile"]["disliked"]
    overview = json.loads(answered("checkpoint", "show", str(job.checkpoint), "--json"))
    assert overview["users"] == len(lists_in_tables(job.run))
    difference = json.loads(answered("checkpoint", "diff", str(job.checkpoint), str(job.savepoint), "--json"))
    assert difference["changed"] == difference["lists_changed"] == []
    directory = str(job.deployments.parent)
    then = answered("lists", STRANGE, "--at", "2099-01-01T00:00Z", "--checkpoints", str(job.savepoint), "--json")
    assert json.loads(then)["list"]["items"] == lists_in_tables(job.run)[STRANGE][2]
    explained = json.loads(answered("explain", job.user, "--dir", directory, "--json"))
    assert (explained["equal"], explained["list"]["items"]) == (True, lists_in_tables(job.run)[job.user][2])


def test_every_list_of_several_users_is_made_again_as_it_was(job: Inspected) -> None:
    places = job.run.rows(
        "SELECT user_id, log_partition, log_offset, source FROM recommendation_lists "
        f"WHERE user_id IN ('{job.user}', '{STRANGE}') OR list_version % 40 = 1 ORDER BY 1, 3"
    )
    assert len(places) > 40
    for user, partition, offset, source in places:
        made = job.explain(str(user), (int(str(partition)), int(str(offset))))
        assert made.differences == ()
        reasons = item_reasons(made)
        assert [each.item_id for each in reasons] == made.user_list.items
        assert source != "scored" or any(each.model for each in reasons)
        assert len(gone_items(made)) <= len(made.previous.items)


def test_a_reason_names_the_behaviours_and_a_gone_item_the_rule(job: Inspected) -> None:
    rows = job.run.rows(
        "SELECT user_id, log_partition, log_offset, list_filter(reasons, lambda x : x LIKE 'because:%')[1] "
        "FROM recommendation_lists WHERE len(list_filter(reasons, lambda x : x LIKE 'because:%')) > 0 LIMIT 5"
    )
    assert rows
    for user, partition, offset, reason in rows:
        made = job.explain(str(user), (int(str(partition)), int(str(offset))))
        item = str(reason).removeprefix("because:")
        explained = [each for each in item_reasons(made) if f"near neighbour of {item}," in each.rule]
        assert explained
        assert all(behavior.item_id == item for each in explained for behavior in each.behaviors)
        assert all(each.behaviors for each in explained)
    (disliked,) = job.run.rows(
        f"SELECT log_partition, log_offset FROM user_behavior WHERE action = 'dislike' AND user_id = '{job.user}'"
    )
    gone = gone_items(job.explain(job.user, (int(str(disliked[0])), int(str(disliked[1])))))
    assert all(each.rule == "disliked" for each in gone if each.item_id == "100")


def test_a_list_or_a_record_that_was_changed_since_is_found(job: Inspected, tmp_path: Path) -> None:
    tables = tmp_path / "tables"
    shutil.copytree(job.run.tables, tables)
    for file in (tables / "recommendation_lists").rglob("part-*"):
        file.write_text(file.read_text().replace('"reasons":["model"', '"reasons":["popular"'))
    recorded = read_records(tables, STRANGE, None)
    found = recompute(recorded, Deployments(job.deployments, "recloop")).differences
    assert len(found) == 1
    assert "is another one than was written" in found[0]

    partition = partition_file(job.log, stable_hash(STRANGE) % PARTITIONS)
    content = partition.read_bytes()
    name = json.dumps(STRANGE, ensure_ascii=False).encode()
    assert name in content
    try:
        partition.write_bytes(content.replace(name + b',"action":"', name + b',"action":"x'))
        (found_in_log,) = job.explain(STRANGE).differences
    finally:
        partition.write_bytes(content)
    assert "dead letter now (unknown_action)" in found_in_log

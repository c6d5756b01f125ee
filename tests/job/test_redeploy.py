"""Deploying again onto the same TaskManagers: the state goes on, and every operator runs the new code."""

import shutil
from pathlib import Path

import pytest

from job.deployment.import_graph import PACKAGES
from job.deployment.shipping import PROJECT
from job.replay.log_writer import LogWriter
from model.records import UserBehavior
from tests.job.fixtures import Deploy

pytestmark = pytest.mark.cluster

CHANGES = {
    # track-users and update-lists run in the TaskManager's own interpreter, score-candidates in a worker beside it.
    "udfs/users/behavior_row.py": [('else "applied"', 'else "applied anew"')],
    "udfs/lists/list_rows.py": [('return "rules"', 'return "new rules"')],
    "udfs/model_serving/score_candidates.py": [("variant=variant)", 'variant=variant + " anew")')],
}


def changed_code(folder: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(PROJECT / package, folder / package)
    for name, changes in CHANGES.items():
        text = (folder / name).read_text()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        (folder / name).write_text(text)
    return folder


def test_a_redeploy_goes_on_from_the_state_with_new_code_in_every_operator(run_job: Deploy, tmp_path: Path) -> None:
    log = tmp_path / "log"
    first = run_job(log)
    with LogWriter(log) as writer:
        writer.append([UserBehavior(f"user-{n}", "click", "50", 1_000) for n in range(20)])
    first.wait_for_offsets(20, timeout_s=60)

    second = run_job(log, fresh=False, code=changed_code(tmp_path / "changed"))
    with LogWriter(log) as writer:
        writer.append([UserBehavior(f"user-{n}", "favorite", "181", 2_000) for n in range(20)])

    second.wait_for_lists(40)
    assert second.deployment.replaced == first.deployment.job_id
    assert second.deployment.restored_from is not None
    assert second.deployment.code != first.deployment.code
    told = second.rows("SELECT user_seq, outcome, count(*) FROM user_behavior GROUP BY ALL ORDER BY ALL")
    assert told == [(1, "applied", 20), (2, "applied anew", 20)]
    told = second.rows("SELECT list_version, variant, count(*) FROM recommendation_lists GROUP BY ALL ORDER BY ALL")
    assert told == [(1, "default", 20), (2, "default anew", 20)]


@pytest.mark.slow
def test_what_a_deployment_withdraws_leaves_the_lists_of_users_who_do_nothing(run_job: Deploy, tmp_path: Path) -> None:
    log, users = tmp_path / "log", 40
    first = run_job(log)
    with LogWriter(log) as writer:
        writer.append([UserBehavior(f"user-{n}", "click", "50", 1_000) for n in range(users)])
    first.wait_for_lists(users)
    shown = "SELECT unnest(items) AS item_id FROM latest_recommendation_lists"
    item = first.rows(f"SELECT item_id FROM ({shown}) ORDER BY item_id LIMIT 1")[0][0]
    count = first.count(f"({shown})", f"item_id = '{item}'")

    second = run_job(log, f'lists.withdrawn=["{item}"]', fresh=False)

    assert second.count(f"({shown})", f"item_id = '{item}'") == 0, "readers leave it out before the job did"
    second.wait_for_lists(users + count)
    swept = second.rows(
        "SELECT action, item_id, source, user_seq, list_version, len(items), list_contains(items, item_id), count(*) "
        "FROM recommendation_lists WHERE list_version > 1 GROUP BY ALL"
    )
    assert swept == [("withdrawn", item, "rules", 1, 2, 10, False, count)]
    newest = "SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY epoch DESC, list_version DESC) AS r"
    stored = f"({newest} FROM recommendation_lists)"
    assert second.count(stored, f"r = 1 AND list_contains(items, '{item}')") == 0
    with LogWriter(log) as writer:
        writer.append([UserBehavior("user-0", "click", "181", 2_000)])
    second.wait_for_lists(users + count + 1)
    assert second.rows("SELECT len(items) FROM latest_recommendation_lists WHERE user_id = 'user-0'") == [(10,)]

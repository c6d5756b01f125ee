"""The supervisor, with shells in the place of JVMs."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from job.cluster.layout import Layout
from job.cluster.processes import (
    SupervisorState,
    end_all,
    marked,
    read_state,
    start_supervisor,
    supervisor_lives,
    sweep,
)
from model.waiting import polls
from tests.job.waiting import wait_until

WITH_A_WORKER = "sleep 600 & echo started $0; wait"
DEADLINE_S = 10.0


@pytest.fixture
def layout(tmp_path: Path) -> Iterator[Layout]:
    layout = Layout(tmp_path)
    layout.logs.mkdir()
    yield layout
    end_all(layout)


def plan(layout: Layout, **scripts: str) -> None:
    """Plans one shell for each name."""
    entries = [
        {
            "name": name,
            "argv": ["/bin/sh", "-c", script, "{incarnation}"],
            "scratch": str(layout.scratch(name)),
            "out": str(layout.out(name)),
        }
        for name, script in scripts.items()
    ]
    layout.plan.write_text(json.dumps(entries))


def supervise(layout: Layout, **scripts: str) -> SupervisorState:
    """Starts a supervisor; returns when all its members have been started."""
    plan(layout, **scripts)
    start_supervisor(layout, {})
    return until(layout, lambda state: all(each.incarnation for each in state.members))


def until(layout: Layout, wanted: Callable[[SupervisorState], bool]) -> SupervisorState:
    """The supervisor's state once it is as wanted."""
    for _ in polls(timeout_s=DEADLINE_S, poll_s=0.005):
        if (state := read_state(layout)) is not None and wanted(state):
            return state
    pytest.fail(f"not reached: {state}")


def pid_of(state: SupervisorState, name: str) -> int:
    member = state.member(name)
    assert member is not None
    assert member.pid is not None
    return member.pid


def living(group: int) -> list[int]:
    """The processes of a group that are not just waiting to be reaped."""
    found = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except ProcessLookupError:
            continue
    return found


def wait_for_worker(group: int) -> None:
    wait_until(lambda: len(living(group)) > 1, timeout_s=DEADLINE_S, what="a worker", poll_s=0.005)


def test_members_run_in_groups_of_their_own(layout: Layout) -> None:
    state = supervise(layout, one=WITH_A_WORKER, two=WITH_A_WORKER)

    groups = [os.getpgid(pid_of(state, name)) for name in ("one", "two")]

    assert groups == [pid_of(state, name) for name in ("one", "two")]
    assert os.getsid(pid_of(state, "one")) == state.pid


def test_a_killed_member_is_started_again_and_its_worker_is_ended(layout: Layout) -> None:
    first = pid_of(supervise(layout, one=WITH_A_WORKER), "one")
    wait_for_worker(first)

    os.kill(first, signal.SIGKILL)
    state = until(layout, lambda state: state.member("one").pid not in (None, first))  # type: ignore[union-attr]

    member = state.member("one")
    assert member is not None
    assert (member.incarnation, member.exit_status) == (2, -signal.SIGKILL)
    assert living(first) == []


def test_a_member_that_cannot_live_is_not_started_in_a_tight_loop(layout: Layout) -> None:
    began = time.monotonic()
    supervise(layout, one="exit 3")

    state = until(layout, lambda state: state.members[0].incarnation == 4)

    assert state.members[0].exit_status == 3
    assert time.monotonic() - began > 0.1 + 0.2 + 0.4


def test_a_command_that_cannot_be_run_is_told_and_the_others_go_on(layout: Layout) -> None:
    plan(layout, one="exit", two=WITH_A_WORKER)
    entries = json.loads(layout.plan.read_text())
    entries[0]["argv"] = ["/nowhere/java"]
    layout.plan.write_text(json.dumps(entries))

    start_supervisor(layout, {})
    state = until(layout, lambda state: state.members[0].exit_status == 127 and state.members[1].pid is not None)

    assert "/nowhere/java cannot be run" in layout.out("one").read_text()
    assert living(pid_of(state, "two"))


def test_scratch_folder_is_empty_at_every_start(layout: Layout) -> None:
    first = pid_of(supervise(layout, one="touch here; sleep 600"), "one")
    (layout.scratch("one") / "left").touch()

    os.kill(first, signal.SIGKILL)
    until(layout, lambda state: state.members[0].incarnation == 2)

    assert not (layout.scratch("one") / "left").exists()


def test_a_member_has_variables_of_its_own(layout: Layout) -> None:
    plan(layout, one="echo seen $DEVICE; sleep 600", two="echo seen $DEVICE; sleep 600")
    entries = json.loads(layout.plan.read_text())
    entries[0]["environment"] = {"DEVICE": "7"}
    layout.plan.write_text(json.dumps(entries))

    start_supervisor(layout, {"DEVICE": "none"})
    until(layout, lambda _: all(layout.out(name).exists() and layout.out(name).read_text() for name in ("one", "two")))

    assert [layout.out(name).read_text() for name in ("one", "two")] == ["seen 7\n", "seen none\n"]


def test_changed_plan_starts_the_new_and_ends_the_old(layout: Layout) -> None:
    state = supervise(layout, one=WITH_A_WORKER, two=WITH_A_WORKER)
    kept, ended = pid_of(state, "one"), pid_of(state, "two")

    plan(layout, one=WITH_A_WORKER, three=WITH_A_WORKER)
    os.kill(state.pid, signal.SIGHUP)
    after = until(layout, lambda state: (state.member("three") or state.members[0]).pid not in (None, kept))

    assert pid_of(after, "one") == kept
    assert living(ended) == []


def test_ending_leaves_nothing(layout: Layout) -> None:
    state = supervise(layout, one=WITH_A_WORKER, two=WITH_A_WORKER)
    wait_for_worker(pid_of(state, "one"))

    assert end_all(layout) >= 3
    assert marked(layout) == []
    assert not supervisor_lives(layout)
    assert read_state(layout) is None


def test_ending_takes_what_a_killed_supervisor_left(layout: Layout) -> None:
    state = supervise(layout, one=WITH_A_WORKER)
    os.kill(state.pid, signal.SIGKILL)
    wait_until(lambda: not supervisor_lives(layout), timeout_s=DEADLINE_S, what="its end", poll_s=0.005)

    assert read_state(layout) is None
    assert marked(layout) != []
    assert sweep(layout) > 0
    assert marked(layout) == []


@pytest.mark.slow
def test_a_member_that_ignores_the_request_to_end_is_ended(layout: Layout) -> None:
    supervise(layout, one="trap '' TERM; while :; do sleep 1; done")

    end_all(layout)

    assert marked(layout) == []


def test_one_supervisor_holds_a_folder(layout: Layout) -> None:
    state = supervise(layout, one=WITH_A_WORKER)

    start_supervisor(layout, {})
    log = layout.log("supervisor")
    wait_until(lambda: "another supervisor" in log.read_text(), timeout_s=DEADLINE_S, what="a refusal", poll_s=0.005)

    assert supervisor_lives(layout)
    assert living(pid_of(state, "one"))


def test_a_final_status_ends_everything_and_is_written_down(layout: Layout) -> None:
    plan(layout, manager="exit 163", worker=WITH_A_WORKER)
    entries = json.loads(layout.plan.read_text())
    entries[0]["final"] = [0, 163]
    layout.plan.write_text(json.dumps(entries))
    start_supervisor(layout, {})
    wait_until(layout.ended.exists, timeout_s=60, what="a final status")
    wait_until(lambda: not supervisor_lives(layout), timeout_s=60, what="the supervisor's end")
    ended = json.loads(layout.ended.read_text())
    assert (ended["name"], ended["exit_status"]) == ("manager", 163)
    assert marked(layout) == []


def test_another_status_than_a_final_one_is_a_death_like_any_other(layout: Layout) -> None:
    plan(layout, manager="[ $0 = 1 ] && exit 1; sleep 600")
    entries = json.loads(layout.plan.read_text())
    entries[0]["final"] = [0, 163]
    layout.plan.write_text(json.dumps(entries))
    start_supervisor(layout, {})
    until(layout, lambda state: any(each.pid and each.incarnation == 2 for each in state.members))
    assert not layout.ended.exists()


def test_a_follower_is_started_again_with_the_one_that_died_and_not_the_other_way_round(layout: Layout) -> None:
    plan(layout, manager="sleep 600", worker=WITH_A_WORKER, other="sleep 600")
    entries = json.loads(layout.plan.read_text())
    entries[1]["follows"] = "manager"
    layout.plan.write_text(json.dumps(entries))
    start_supervisor(layout, {})
    before = until(layout, lambda state: all(each.pid for each in state.members))
    os.kill(pid_of(before, "worker"), signal.SIGKILL)
    between = until(layout, lambda state: pid_of_or_none(state, "worker") not in {None, pid_of(before, "worker")})
    assert pid_of(between, "manager") == pid_of(before, "manager")
    os.kill(pid_of(between, "manager"), signal.SIGKILL)
    after = until(
        layout,
        lambda state: all(
            pid_of_or_none(state, name) not in {None, pid_of(between, name)} for name in ("manager", "worker")
        ),
    )
    assert pid_of(after, "other") == pid_of(before, "other")
    assert living(pid_of(between, "worker")) == []


def pid_of_or_none(state: SupervisorState, name: str) -> int | None:
    member = state.member(name)
    return member.pid if member else None

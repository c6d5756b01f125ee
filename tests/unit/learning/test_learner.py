"""The learner on a log of files: what it promotes and refuses, and that a kill at any step changes no decision."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from job.cli import app
from job.commands import learn as learn_command
from job.learning.errors import LearnError
from job.learning.learner import Learner, Step
from job.settings.job_settings import JobSettings
from job.tables import duck
from model.bundles.bundle import MANIFEST, Bundle
from model.records import UserBehavior
from model.registry.registry import Registry
from tests.unit.learning.drifting import NAME, PHASE, append, phase, serve_first, settings
from tests.unit.tables.rows import behavior, commit, made_list
from udfs.rows import ModelUpdateRow

pytestmark = pytest.mark.heavy


class KilledError(BaseException):
    """What a test raises where a kill -9 would end the learner."""


def killer(step: Step | None) -> Callable[[Step], None]:
    def kill(done: Step) -> None:
        if done is step:
            raise KilledError

    return kill


def decisions(job: JobSettings, kill_at: Step | None = None) -> list[ModelUpdateRow]:
    """Step until nothing is due; a learner of its own, as a process has."""
    learner, found = Learner(job, on_step=killer(kill_at)), []
    try:
        with learner.folder.locked():
            while (row := learner.step()) is not None:
                found.append(row)
    finally:
        learner.close()
    return found


def rows(job: JobSettings) -> list[dict[str, object]]:
    return duck.query(job.tables.folder, "SELECT * FROM model_updates ORDER BY decision_number").records()


def current(job: JobSettings) -> str | None:
    version = Registry(str(job.models.url)).pointers(NAME).current
    return None if version is None else version.id


def test_what_is_better_is_promoted_and_what_is_not_is_refused(tmp_path: Path) -> None:
    first, job = serve_first(tmp_path), settings(tmp_path)
    assert decisions(job) == []  # nothing is newer than what serves
    assert current(job) == "first"
    append(tmp_path, phase(1, ring=True))
    (promoted,) = decisions(job)
    assert promoted.decision == "promoted", promoted
    assert promoted.served_hash == first.hash
    assert promoted.ndcg is not None
    assert promoted.served_ndcg is not None
    assert promoted.ndcg > promoted.served_ndcg
    assert current(job) == promoted.model_version
    append(tmp_path, phase(2, ring=False)[: PHASE // 2])
    (refused,) = decisions(job)
    assert (refused.decision, refused.served_version) == ("refused", promoted.model_version)
    assert "not surely better" in refused.reason
    assert current(job) == promoted.model_version
    versions = Registry(str(job.models.url)).versions(NAME)
    assert {promoted.model_version, refused.model_version, "first"} == set(versions)
    assert rows(job)[0]["reason"] == promoted.reason
    assert [row["decision_number"] for row in rows(job)] == [1, 2]
    assert decisions(job) == []


def test_a_new_folder_goes_on_from_the_numbers_of_the_table(tmp_path: Path) -> None:
    serve_first(tmp_path)
    job = settings(tmp_path)
    append(tmp_path, phase(1, ring=True))
    assert [row.decision_number for row in decisions(job)] == [1]
    elsewhere = settings(tmp_path, f"learn.folder={tmp_path / 'elsewhere'}")
    append(tmp_path, phase(2, ring=False))
    later = decisions(elsewhere)
    assert later
    assert [row["decision_number"] for row in rows(job)] == [1, *(row.decision_number for row in later)]


def test_a_worse_candidate_is_refused_whatever_is_allowed_below_that(tmp_path: Path) -> None:
    serve_first(tmp_path)
    append(tmp_path, phase(1, ring=True))
    (promoted,) = decisions(settings(tmp_path))
    # A window so short that the candidate learns from users who go nowhere, and is judged by some who go round.
    minutes = PHASE + 100
    job = settings(tmp_path, f"learn.window={60 * minutes}", "learn.worse_by=0.2", "learn.behaviors=500")
    append(tmp_path, [*phase(2, ring=False), *phase(3, ring=True)[:200]])
    (refused,) = decisions(job)
    assert refused.decision == "refused", refused
    assert "not surely within" in refused.reason
    assert current(job) == promoted.model_version
    segments = Learner(job).folder.read(NAME).segments
    assert sum(each.behaviors for each in segments) < 3 * PHASE  # the window forgot the first phase


@pytest.mark.parametrize("step", Step)
def test_a_kill_after_any_step_doubles_and_loses_no_decision(step: Step, tmp_path: Path) -> None:
    serve_first(tmp_path)
    append(tmp_path, phase(1, ring=True))
    job = settings(tmp_path)
    with pytest.raises(KilledError):
        decisions(job, kill_at=step)
    pointers = Registry(str(job.models.url)).pointers(NAME)
    assert pointers.revision <= 2
    for version in Registry(str(job.models.url)).versions(NAME):  # none is there in part
        assert Bundle.load(tmp_path / "registry" / NAME / version).manifest.version == version
    again = decisions(job)
    assert [row["decision"] for row in rows(job)] == ["promoted"]
    assert len(again) == (step is not Step.CLOSED)
    found = Registry(str(job.models.url))
    assert found.pointers(NAME).revision == 2
    assert len(found.versions(NAME)) == 2
    assert current(job) == rows(job)[0]["model_version"]
    assert Bundle.load(tmp_path / "registry" / NAME / str(current(job))).hash == rows(job)[0]["model_hash"]
    names = [path.name for path in (tmp_path / "learn" / NAME / "behaviors").iterdir()]
    assert sorted(names) == [each.name for each in Learner(job).folder.read(NAME).segments]


def test_a_round_that_was_killed_twice_takes_the_candidate_that_is_there(tmp_path: Path) -> None:
    serve_first(tmp_path)
    append(tmp_path, phase(1, ring=True))
    job = settings(tmp_path)
    with pytest.raises(KilledError):
        decisions(job, kill_at=Step.TRAINED)
    written = (tmp_path / "learn" / NAME / "candidate" / MANIFEST).stat().st_mtime_ns
    with pytest.raises(KilledError):
        decisions(job, kill_at=Step.REGISTERED)
    assert (tmp_path / "learn" / NAME / "candidate" / MANIFEST).stat().st_mtime_ns == written


def test_a_pointer_that_somebody_else_moved_stays_where_it_is(tmp_path: Path) -> None:
    first, job = serve_first(tmp_path), settings(tmp_path)
    append(tmp_path, phase(1, ring=True))
    with pytest.raises(KilledError):
        decisions(job, kill_at=Step.DECIDED)
    registry = Registry(str(job.models.url))
    manifest = msgspec.json.encode(replace(first.manifest, version="by-hand"))
    (first.path / MANIFEST).write_bytes(manifest)
    registry.register(first.path, NAME)
    registry.promote(NAME, "by-hand")
    (row,) = decisions(job)
    assert (row.decision, current(job)) == ("refused", "by-hand")
    assert "somebody else moved it" in row.reason
    assert [each["decision"] for each in rows(job)] == ["refused"]


def taken(job: JobSettings, model_hash: str, hits: int, first_seq: int) -> None:
    """Twenty users with a list of a model, each followed by a behaviour that is in it or not."""
    hour = "dt=2100-01-01/hour=00"  # later than any promotion here
    for user in range(20):
        listed = made_list(first_seq, ["a", "b"], user=f"u{user}")
        shown = listed | {"model_hash": model_hash, "user_seq": first_seq, "written_at": 4_102_444_800_000}
        item = "a" if user < hits else "z"
        acted = behavior(first_seq, user=f"u{user}", item=item) | {"log_partition": user, "user_seq": first_seq + 1}
        commit(job.tables.folder / "recommendation_lists" / hour, f"part-{first_seq}-{user}", [shown])
        commit(job.tables.folder / "user_behavior" / hour, f"part-{first_seq}-{user}", [acted])


@pytest.mark.parametrize(("hits_since", "falls"), [(0, True), (17, False)])
def test_a_promotion_whose_live_hit_rate_falls_is_taken_back(hits_since: int, falls: bool, tmp_path: Path) -> None:
    first, job = serve_first(tmp_path), settings(tmp_path)
    append(tmp_path, phase(1, ring=True))
    (promoted,) = decisions(job)
    taken(job, first.hash, 18, first_seq=1)
    assert decisions(job) == []  # nobody had a list of the new version yet
    taken(job, str(promoted.model_hash), hits_since, first_seq=10)
    if not falls:
        assert decisions(job) == []
        assert current(job) == promoted.model_version
        return
    with pytest.raises(KilledError):
        decisions(job, kill_at=Step.MOVED)
    (back,) = decisions(job)
    assert (back.decision, back.model_version, back.served_version) == ("rolled_back", promoted.model_version, "first")
    assert (back.hit_rate, back.served_hit_rate, back.users) == (hits_since / 20, 18 / 20, 20)
    assert current(job) == "first"
    assert [row["decision"] for row in rows(job)] == ["promoted", "rolled_back"]
    assert decisions(job) == []
    assert current(job) == "first"


def test_the_log_is_read_once_and_a_restart_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from udfs.log.file_log import FileLogReader

    read: list[int] = []
    poll = FileLogReader.poll

    def counted(self: FileLogReader, partition: int, next_offset: int, cursor: bytes, limit: int) -> object:
        found = poll(self, partition, next_offset, cursor, limit)
        read.append(len(found.records))
        return found

    monkeypatch.setattr(FileLogReader, "poll", counted)
    serve_first(tmp_path)
    job = settings(tmp_path, "learn.held_out=100000")
    for number in (1, 2):
        assert decisions(job) == []
        append(tmp_path, phase(number, ring=True))
    assert decisions(job) == []
    assert sum(read) == 3 * PHASE


def test_two_learners_do_not_share_a_folder(tmp_path: Path) -> None:
    serve_first(tmp_path)
    job = settings(tmp_path)
    one, other = Learner(job), Learner(job)
    with one.folder.locked(), pytest.raises(LearnError, match="another recloop learn"), other.folder.locked():
        pass


def test_the_command_decides_all_that_is_due_and_ends(tmp_path: Path) -> None:
    serve_first(tmp_path)
    append(tmp_path, phase(1, ring=True))
    job = settings(tmp_path)
    words = [f"--set={name}={value}" for name, value in _as_options(job).items()]
    result = CliRunner().invoke(app, ["learn", "--once", *words], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert f"{NAME} {current(job)} is promoted: better" in result.output
    shown = CliRunner().invoke(app, ["sql", "--tables"], env={"COLUMNS": "200"})
    assert "model_updates" in shown.output
    again = CliRunner().invoke(app, ["learn", "--once", "--json", *words], catch_exceptions=False)
    assert (again.exit_code, again.stdout) == (0, "")


def _as_options(job: JobSettings) -> dict[str, object]:
    folders = {"models.url": job.models.url, "models.cache": job.models.cache, "log.folder": job.log.folder}
    folders |= {"tables.folder": job.tables.folder, "learn.folder": job.learn.folder}
    pace = {"learn.behaviors": 200, "learn.held_out": 200, "learn.worse_by": 0, "learn.slower_by": 1000}
    return {"models.name": NAME, **folders, **pace}


def test_what_fails_for_a_while_is_tried_again_and_a_log_that_is_another_one_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    serve_first(tmp_path)
    job = settings(tmp_path)
    learner = Learner(job)
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        partition = next((tmp_path / "log").glob("partition-*"))
        if len(pauses) == 1:
            partition.rename(tmp_path / "aside")
            partition.write_bytes(b"")
        elif len(pauses) == 4:
            (tmp_path / "aside").rename(partition)
        elif len(pauses) == 6:
            raise KilledError

    monkeypatch.setattr("job.commands.learn.time.sleep", pause)
    with closing(learner), learner.folder.locked(), pytest.raises(KilledError):
        learn_command._run(learner, print, 0.25, lambda _: None)  # type: ignore[arg-type]
    told = capsys.readouterr().err
    assert told.count("tried again until it works") == 1
    assert f"remove {learner.folder.path}" in told.replace("\n", " ")


def test_short_polls_leave_few_files_with_every_behaviour_in_them(tmp_path: Path) -> None:
    serve_first(tmp_path)
    job = settings(tmp_path, "learn.held_out=100000")
    learner, more = Learner(job), phase(1, ring=True)
    with closing(learner), learner.folder.locked():
        for number in range(100):
            append(tmp_path, more[3 * number : 3 * number + 3])
            assert learner.step() is None
    segments = learner.folder.read(NAME).segments
    assert sum(each.behaviors for each in segments) == PHASE + 300
    assert len(segments) < 10
    lines = [line for each in segments for line in (learner.folder.behaviors / each.name).read_bytes().splitlines()]
    found = sorted(msgspec.json.decode(line, type=UserBehavior).timestamp for line in lines)
    assert found == [each.timestamp for each in (*phase(0, ring=False), *more[:300])]

"""A replay appends exactly the data set, at its pace, whatever stops it and however often."""

import resource
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from job.cli import app
from job.replay.files_target import FilesTarget
from job.replay.log_writer import LogWriter, create_log
from job.replay.replay import Pace, Replayed, ReplayMismatchError
from job.replay.replay import replay as replay_into
from model.datasets.errors import NotPreparedError
from model.datasets.generate import Synthetic, generate
from model.datasets.json_lines import decode_behavior, encode_behavior
from model.datasets.prepared import Dataset, DatasetInfo, write_behaviors
from model.records import UserBehavior
from udfs.hashing import stable_hash
from udfs.log.file_log import partition_file

PARTITIONS = 3
START_MS = 1_700_000_000_000


class Stopped(BaseException):
    """As if the process had been killed."""


class Clock:
    """A clock that only sleeping moves; it notes what the log held whenever it was asked to sleep."""

    def __init__(self) -> None:
        self.time_s = 100.0
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time_s

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time_s += seconds


def behaviors(count: int, step_ms: int = 1000) -> list[UserBehavior]:
    return [UserBehavior(f"u{n % 5}", "click", f"i{n}", START_MS + n * step_ms) for n in range(count)]


def dataset(folder: Path, rows: list[UserBehavior], name: str = "tiny") -> Dataset:
    folder.mkdir(parents=True, exist_ok=True)
    fingerprint = write_behaviors(folder, (encode_behavior(row) + b"\n" for row in rows))
    info = DatasetInfo(
        name=name, behaviors=len(rows), users=5, items=len(rows), first_timestamp=0, last_timestamp=0,
        fingerprint=fingerprint, actions="", source={}, skipped={},
    )  # fmt: skip
    return Dataset(folder, info)


@pytest.fixture
def tiny(tmp_path: Path) -> Dataset:
    return dataset(tmp_path / "tiny", behaviors(10))


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


def replay(dataset: Dataset, log: Path, partitions: int | None = None, **options: Any) -> Replayed:
    with FilesTarget(log, partitions) as target:
        return replay_into(dataset, target, **options)


def held(log: Path) -> list[list[UserBehavior]]:
    files = (partition_file(log, partition) for partition in range(PARTITIONS))
    return [[decode_behavior(line) for line in file.read_bytes().splitlines()] for file in files]


def expected(rows: list[UserBehavior]) -> list[list[UserBehavior]]:
    return [[row for row in rows if stable_hash(row.user_id) % PARTITIONS == each] for each in range(PARTITIONS)]


def test_a_replay_appends_the_whole_data_set(tiny: Dataset, log: Path) -> None:
    done = replay(tiny, log, partitions=PARTITIONS)
    assert (done.appended, done.before, held(log)) == (10, 0, expected(behaviors(10)))


def test_a_replay_that_is_through_appends_nothing_more(tiny: Dataset, log: Path) -> None:
    replay(tiny, log, partitions=PARTITIONS)
    again = replay(tiny, log)
    assert (again.appended, again.before, held(log)) == (0, 10, expected(behaviors(10)))


def test_a_limited_replay_goes_on_later(tiny: Dataset, log: Path) -> None:
    replay(tiny, log, partitions=PARTITIONS, limit=4)
    assert sum(map(len, held(log))) == 4
    assert replay(tiny, log).before == 4
    assert held(log) == expected(behaviors(10))


def test_a_replay_goes_behind_what_the_log_held_before(tiny: Dataset, log: Path) -> None:
    others = [UserBehavior("other", "click", "x", 1)] * 5
    with LogWriter(log, PARTITIONS) as writer:
        writer.append(others)
    replay(tiny, log, limit=6)
    replay(tiny, log)
    assert held(log) == expected(others + behaviors(10))


def test_progress_counts_earlier_runs(tiny: Dataset, log: Path) -> None:
    heard: list[int] = []
    replay(tiny, log, partitions=PARTITIONS, limit=4)
    replay(tiny, log, on_progress=heard.append)
    assert (heard[0], heard[-1]) == (4, 10)


def test_without_a_pace_nobody_sleeps(tiny: Dataset, log: Path) -> None:
    clock = Clock()
    replay(tiny, log, clock=clock)
    assert clock.slept == []


def test_a_rate_spaces_the_behaviors_evenly(tiny: Dataset, log: Path) -> None:
    clock = Clock()
    done = replay(tiny, log, pace=Pace(rate=2), clock=clock)
    assert clock.slept == [0.5] * 9
    assert done.seconds == 4.5


def test_a_high_rate_is_kept_on_the_whole(tmp_path: Path, log: Path) -> None:
    clock = Clock()
    done = replay(dataset(tmp_path / "many", behaviors(3_001)), log, pace=Pace(rate=1_000), clock=clock)
    assert done.seconds == pytest.approx(3, abs=0.01)
    assert min(clock.slept) >= 0.005


def test_a_speed_keeps_the_gaps_of_event_time(tmp_path: Path, log: Path) -> None:
    clock = Clock()
    replay(dataset(tmp_path / "slow", behaviors(4, step_ms=60_000)), log, pace=Pace(speed=10), clock=clock)
    assert clock.slept == [6.0, 6.0, 6.0]


def test_what_is_due_is_in_the_log_before_the_replay_sleeps(tiny: Dataset, log: Path) -> None:
    in_log: list[int] = []

    class Watch(Clock):
        def sleep(self, seconds: float) -> None:
            in_log.append(sum(map(len, held(log))))
            super().sleep(seconds)

    replay(tiny, log, partitions=PARTITIONS, pace=Pace(rate=2), clock=Watch())
    assert in_log == list(range(1, 10))


def test_a_resumed_replay_keeps_its_pace_from_where_it_is(tiny: Dataset, log: Path) -> None:
    clock = Clock()
    replay(tiny, log, limit=8)
    replay(tiny, log, pace=Pace(rate=2), clock=clock)
    assert clock.slept == [0.5]


def test_another_data_set_of_the_same_name_is_refused(tiny: Dataset, log: Path, tmp_path: Path) -> None:
    replay(tiny, log, limit=4)
    with pytest.raises(ReplayMismatchError, match=r"replay-tiny\.json tells of a replay"):
        replay(dataset(tmp_path / "other", behaviors(11)), log)


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"fingerprint": 1, "base": []}', "[" * 100_000])
def test_damaged_notes_of_a_replay_are_told_with_their_path(tiny: Dataset, log: Path, content: str) -> None:
    replay(tiny, log, limit=4)
    (log / "replay-tiny.json").write_text(content)
    with pytest.raises(
        ReplayMismatchError, match=r"^/.*/replay-tiny\.json, the notes of a replay, is damaged .*: remove"
    ):
        replay(tiny, log)


@pytest.mark.parametrize("line", [b"{", b"[]", b"\xff", b'{"user_id": 1}', b""])
def test_a_damaged_line_of_a_data_set_is_told_with_its_file_and_number(tiny: Dataset, log: Path, line: bytes) -> None:
    whole = tiny.behaviors_path.read_bytes().splitlines(keepends=True)
    tiny.behaviors_path.write_bytes(b"".join([whole[0], line + b"\n", *whole[2:]]))
    with pytest.raises(NotPreparedError, match=r"^/.*/behaviors\.jsonl, line 2, is damaged .*; make the set again"):
        replay(tiny, log)
    (tiny.path / "items.jsonl").write_bytes(line + b"\n")
    with pytest.raises(NotPreparedError, match=r"^/.*/items\.jsonl, line 1, is damaged .*; make the set again"):
        tiny.items()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["replay", *arguments], env={"COLUMNS": "400"})


@pytest.fixture
def prepared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    generate(Synthetic(users=3, items=3, behaviors=9, tastes=2), tmp_path / "small", "small")
    return str(tmp_path / "small")


def test_the_command_takes_from_the_settings_what_no_option_gives(prepared: str) -> None:
    set_to = ("--set", "log.folder=other", "--set", "log.partitions=2")
    assert run(prepared, *set_to).exit_code == 0
    assert create_log(Path("other")) == 2
    assert run(prepared, *set_to, "--log", "third", "--partitions", "3").exit_code == 0
    assert create_log(Path("third")) == 3
    assert not Path(".recloop").exists()


@pytest.mark.parametrize("wrong", ["nosuch.x=1", "LOG.folder=x", "lists.policy=best", "log.partitions=0"])
def test_the_command_refuses_wrong_settings(prepared: str, wrong: str) -> None:
    done = run(prepared, "--set", wrong)
    assert (done.exit_code, Path(".recloop").exists()) == (1, False)
    assert f"Error: {wrong.split('.')[0]}" in done.output


@pytest.mark.parametrize("pace", ["--speed=nan", "--speed=nanx", "--speed=0", "--speed=-1x"])
def test_a_pace_that_is_none_is_refused(prepared: str, pace: str) -> None:
    done = run(prepared, pace)
    assert (done.exit_code, "give a factor" in done.output) == (2, True)


def test_a_log_that_lost_lines_is_refused(tiny: Dataset, log: Path) -> None:
    with LogWriter(log, PARTITIONS) as writer:
        writer.append(behaviors(10))
    replay(tiny, log, limit=4)
    partition_file(log, 0).write_bytes(b"")
    with pytest.raises(ReplayMismatchError):
        replay(tiny, log)


def test_a_log_that_something_else_appended_to_midway_is_refused(tiny: Dataset, log: Path) -> None:
    replay(tiny, log, partitions=PARTITIONS, limit=4)
    with LogWriter(log) as writer:
        writer.append([UserBehavior("u0", "click", "x", 1)])
    with pytest.raises(ReplayMismatchError, match="tells of a replay"):
        replay(tiny, log)


def test_what_is_appended_after_a_whole_replay_is_none_of_its_business(tiny: Dataset, log: Path) -> None:
    replay(tiny, log, partitions=PARTITIONS)
    with LogWriter(log) as writer:
        writer.append([UserBehavior("u0", "click", "x", 1)])
    assert replay(tiny, log).appended == 0


def test_a_replay_whose_notes_found_no_room_on_the_disk_starts_anew(tiny: Dataset, log: Path) -> None:
    with LogWriter(log, PARTITIONS), files_no_larger_than(10):
        pass
    with files_no_larger_than(10), pytest.raises(OSError, match="File too large"):
        replay(tiny, log)
    assert replay(tiny, log).appended == 10


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 6), st.binary(max_size=3), st.integers(0, 2)), max_size=4))
def test_killed_at_any_point_and_resumed_it_appends_exactly_the_data_set(kills: list[tuple[int, bytes, int]]) -> None:
    """A kill: after so many sleeps, leaving half a line in one partition."""
    with TemporaryDirectory() as folder:
        tiny, log = dataset(Path(folder) / "tiny", behaviors(20)), Path(folder) / "log"
        for sleeps, half, partition in kills:
            with suppress(Stopped):
                replay(tiny, log, partitions=PARTITIONS, pace=Pace(rate=2), clock=killer(sleeps))
            with partition_file(log, partition).open("ab") as out:
                out.write(half.replace(b"\n", b" "))
        replay(tiny, log, partitions=PARTITIONS)
        assert held(log) == expected(behaviors(20))


class Lists:
    """A log in memory that outlives its process, which dies in its n-th append, if that is asked for.

    What it was given last is then there in part: a prefix in each partition.
    """

    name = "the lists"

    def __init__(self, notes: Path) -> None:
        self.notes = notes
        self.lists: list[list[UserBehavior]] = [[] for _ in range(PARTITIONS)]
        self.dies_in: int | None = None
        self.keeps = (0,) * PARTITIONS

    def lengths(self) -> list[int]:
        return [len(each) for each in self.lists]

    def last_records(self) -> list[bytes]:
        return [encode_behavior(each[-1]) if each else b"" for each in self.lists]

    def append(self, behaviors: Sequence[UserBehavior]) -> None:
        parts = expected(list(behaviors))
        if self.dies_in == 0:
            parts = [part[:kept] for part, kept in zip(parts, self.keeps, strict=True)]
        for there, part in zip(self.lists, parts, strict=True):
            there.extend(part)
        if self.dies_in == 0:
            raise Stopped
        self.dies_in = self.dies_in and self.dies_in - 1


@pytest.mark.heavy
@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(0, 2), st.tuples(*[st.integers(0, 400)] * PARTITIONS)), max_size=4))
def test_killed_while_appending_and_resumed_it_appends_exactly_the_data_set(
    kills: list[tuple[int, tuple[int, int, int]]],
) -> None:
    rows = behaviors(2_500)
    with TemporaryDirectory() as folder:
        many, target = dataset(Path(folder) / "many", rows), Lists(Path(folder))
        for target.dies_in, target.keeps in kills:
            with suppress(Stopped):
                replay_into(many, target)
        target.dies_in = None
        replay_into(many, target)
        assert target.lists == expected(rows)


def test_a_log_that_got_more_partitions_is_refused(tiny: Dataset, tmp_path: Path) -> None:
    target = Lists(tmp_path)
    replay_into(tiny, target, limit=4)
    target.lists.append([])
    with pytest.raises(ReplayMismatchError, match="that the lists does not hold"):
        replay_into(tiny, target)


def killer(sleeps: int) -> Clock:
    class Killer(Clock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            if len(self.slept) > sleeps:
                raise Stopped

    return Killer()

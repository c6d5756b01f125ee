"""Every command has one way out: whatever it is given, one sentence and 1 or 2, never a traceback."""

import errno
import gzip
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner, Result

from job.cli import app
from job.commands.way_out import Root, _forget_output, exit_in_one_sentence
from job.tables.formats import Format
from model.datasets.generate import Synthetic, generate
from model.errors import RecloopError

pytestmark = pytest.mark.heavy
TEMPLATES = {
    "demo": ["demo --root {file}/below"],
    "cluster start": ["cluster start --dir {file}", "cluster start --dir {full}"],
    "cluster status": ["cluster status --dir {bad}"],
    "cluster stop": ["cluster stop --dir {bad}"],
    "kafka start": ["kafka start --dir {file}/below", "kafka start --dir {full}"],
    "kafka stop": ["kafka stop --dir {bad}"],
    "kafka topics": ["kafka topics --dir {bad}"],
    "kafka lag": ["kafka lag --dir {bad}", "kafka lag --settings {bad}"],
    "data prepare": [
        "data prepare jsonl --path {bad} --name x",
        "data prepare movielens --path {bad} --name x",
        "data prepare taobao --path {bad} --name x",
        "data prepare online-retail --path {bad} --name x",
        "data prepare jsonl --path {log} --name {name}",
        "data prepare jsonl --path {log} --name x --data-dir {file}",
    ],
    "data generate": ["data generate --users 3 --items 3 --tastes 2 --behaviors 9 --out {file}"],
    "data show": ["data show {bad}", "data show x --data-dir {bad}", "data show {name}"],
    "train": ["train {bad}", "train {data} --recommender popularity --out {file}", "train {name}"],
    "evaluate": ["evaluate {bad}", "evaluate {data} --bundle {bad}", "evaluate {name}"],
    "models register": ["models register {bad}", "models register {bundle} --name {name}"],
    "models list": ["models list --registry {file}/below"],
    "models show": ["models show x --registry {bad}", "models show {name}"],
    "models promote": ["models promote x --registry {bad}", "models promote {name}"],
    "models candidate": ["models candidate x y --registry {bad}", "models candidate {name} y"],
    "models rollback": ["models rollback x --registry {bad}", "models rollback {name}"],
    "learn": [
        "learn --once",
        "learn --once --settings {bad}",
        "learn --once --set models.url={bad} --set models.name=x --set learn.folder={file}",
        "learn --once --set models.url=x --set models.name=x --set log.folder={bad}",
    ],
    "compress": ["compress {bad}", "compress {bundle} {bad}"],
    "deploy": [
        "deploy --settings {bad} --dir {bad}",
        "deploy --dir {bad}",
        "deploy --target application --dir {file} --set lists.policy=history",
        "deploy --target session",
    ],
    "upgrade": ["upgrade --settings {bad} --dir {bad}", "upgrade --dir {bad}"],
    "rollback": ["rollback --dir {bad}"],
    "gc": ["gc --dir {bad}"],
    "savepoint take": ["savepoint take --dir {bad}"],
    "savepoint list": ["savepoint list --dir {bad}"],
    "savepoint remove": ["savepoint remove x --dir {bad}"],
    "config show": ["config show --settings {bad}"],
    "config check": ["config check {bad}"],
    "config diff": ["config diff {bad}", "config diff {bad} --dir {bad}"],
    "status": ["status --dir {bad}"],
    "replay": ["replay {bad}", "replay {data} --log {file}", "replay {name}"],
    "sql": ["sql select --tables-dir {bad}", "sql nonsense --tables-dir {folder}"],
    "lists": ["lists u --tables-dir {bad}"],
    "checkpoint list": ["checkpoint list {bad}", "checkpoint list --dir {bad}"],
    "checkpoint show": ["checkpoint show {bad}", "checkpoint show {bad} --user u"],
    "checkpoint diff": ["checkpoint diff {bad} {bad}", "checkpoint diff {bad} {folder}"],
    "explain": ["explain u --dir {bad}", "explain u --at {bad}"],
    "score": ["score {bad} --out x.jsonl", "score {data} --bundle {bad} --out x.jsonl", "score {name} --out x.jsonl"],
    "serve": [
        "serve --port 0",
        "serve --port 0 --settings {bad}",
        "serve --port 0 --set publish.lists_folder=x --store {file}",
        "serve --port 0 --set publish.lists_folder=x --bundle {bad}",
    ],
    "ab report": ["ab report --tables-dir {bad}"],
    "ope lists": ["ope lists --tables-dir {bad}"],
    "ope open-bandit": ["ope open-bandit --cache {file}"],
    "compact": ["compact --tables-dir {bad}"],
    "drill": ["drill --out {file}", "drill --out {full}"],
    "bench": ["bench --out {file} --quick", "bench --out {full} --quick"],
}
LEFT_OUT = {
    "doctor": "reports what is wrong as its result, in as many lines: tests/unit/doctor",
    "config table": "takes nothing",
    "kafka connector": "takes nothing, and fetches",
}
HARMLESS = {"cluster status", "cluster stop", "kafka stop", "models list"}
"""What is not there is no error for them."""


def commands_of(group: object, before: str = "") -> Iterator[str]:
    """Yield every command's words."""
    for name, command in getattr(group, "commands", {}).items():
        words = f"{before}{name}"
        yield from commands_of(command, f"{words} ") if getattr(command, "commands", None) else [words]


def test_every_command_is_in_the_table() -> None:
    assert set(commands_of(get_command(app))) == {*TEMPLATES, *LEFT_OUT}


def _folder(path: Path) -> None:
    path.mkdir()


def _bytes(content: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(content)

    return write


def _nothing(_: Path) -> None:
    pass


def _other_summaries(path: Path) -> None:
    path.mkdir()
    for name in ("manifest.json", "dataset.json", "log.json", "broker.json", "state.json", "deployment.json"):
        (path / name).write_text('{"version": 99}')
    (path / "behaviors.jsonl").write_bytes(b"\xff\xfe{")


def _other_shapes(path: Path) -> None:
    path.mkdir()
    for name in ("manifest.json", "dataset.json", "log.json", "broker.json", "state.json", "ratings.csv"):
        (path / name).write_text("[")


BAD: dict[str, Callable[[Path], None]] = {
    "missing": _nothing,
    "empty folder": _folder,
    "empty file": _bytes(b""),
    "junk": _bytes(bytes(range(256)) * 9),
    "broken JSON": _bytes(b'{"user_id": "a", '),
    "broken TOML": _bytes(b"[lists\nlength = = 3\n"),
    "Latin-1": _bytes("[lists]\nlength = 'caf\xe9'\n".encode("latin-1")),
    "unknown settings": _bytes(b"[lists]\nno_such_setting = 3\n[[x]]\n"),
    "cut gzip.gz": _bytes(gzip.compress(b"x" * 5000)[:-9]),
    "not gzip.gz": _bytes(b"user,item\n"),
    "other version": _other_summaries,
    "other shape": _other_shapes,
    "[/news]": _bytes(b"[/news]"),
    "long " + "a" * 300: _nothing,
}
NAMES = ("../up", "a/b", ".", "x" * 256, "[/news]", "a\tb")
CASES = [(command, template) for command, templates in TEMPLATES.items() for template in templates]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sets") / "small"
    generate(Synthetic(users=9, items=9, behaviors=90, tastes=3), folder, "small")
    return folder


def run(template: str, **words: str) -> Result:
    arguments = [word.format(**words) for word in template.split()]
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "400"})


def judge(result: Result, *, harmless: bool) -> None:
    """Fail unless it ended as every command has to."""
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    assert "Traceback" not in result.output
    assert result.exit_code in ({0, 1, 2} if harmless else {1, 2}), result.output
    if result.exit_code:
        lines = [line for line in result.output.splitlines() if line.strip()]
        assert lines
        assert len(lines) < 9, result.output
        assert len(result.output) < 3_000


@pytest.mark.parametrize(("command", "template"), CASES, ids=[template for _, template in CASES])
def test_what_is_damaged_ends_in_a_sentence(
    command: str, template: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    (tmp_path / "log.jsonl").write_text('{"user_id":"u","action":"click","item_id":"i","timestamp":1700000000000}\n')
    monkeypatch.chdir(tmp_path)
    values = NAMES if "{name}" in template else BAD
    for number, value in enumerate(values):
        bad = tmp_path / f"bad-{number}" / (value if "{name}" not in template else "x")
        bad.parent.mkdir(parents=True)
        if value in BAD:
            BAD[value](bad)
        if not template.count("{bad}") and "{name}" not in template and number:
            break
        result = run(
            template,
            bad=str(bad),
            name=value,
            file=str(tmp_path / "file"),
            folder=str(tmp_path / "folder"),
            full=str(data),
            log=str(tmp_path / "log.jsonl"),
            data=str(data),
            bundle=str(tmp_path / "folder"),
        )
        judge(result, harmless=command in HARMLESS or value == "empty folder")


class _Broken:
    """Standard output that takes nothing: `main` sees a real descriptor, as the shell makes it."""

    def __init__(self, kind: str) -> None:
        if kind == "no reader":
            reader, self.number = os.pipe()
            os.close(reader)
        else:
            self.number = os.open("/dev/full" if kind == "full disk" else os.devnull, os.O_RDWR)
        self.stream = None if kind == "closed" else os.fdopen(self.number, "w")


ENDS = {
    "no reader": (141, ""),
    "full disk": (1, "Error: No space left on device; make room on the disk\n"),
    "closed": (1, "Error: Bad file descriptor; where standard output is not wanted, send it to /dev/null"),
}
PRINT = [
    *(f"{words} --help" for words in [*TEMPLATES, *LEFT_OUT]),
    *("--help", "data --help", "config table", "cluster status --dir none", "drill --list --json"),
    *("sql --tables", "sql --tables --json", "models list --registry none"),
    *(f"sql select+1 --tables-dir . --format {form}" for form in Format if form is not Format.PARQUET),
]
"""Command lines that have something to print."""


@pytest.mark.parametrize("kind", ENDS)
@pytest.mark.parametrize("line", PRINT)
def test_output_that_nobody_takes_ends_every_command_with_one_code(
    line: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "user_behavior").mkdir()  # else `sql` says on standard error that there are no tables
    errors = io.StringIO()
    monkeypatch.setattr(sys, "stdout", _Broken(kind).stream)
    monkeypatch.setattr(sys, "stderr", errors)
    with pytest.raises(SystemExit) as ended:
        get_command(app).main([word.replace("+", " ") for word in line.split()], prog_name="recloop")
    code, said = ENDS[kind]
    assert (ended.value.code, errors.getvalue()[: len(said)]) == (code, said)
    assert errors.getvalue().count("\n") == (1 if said else 0)
    sys.stdout.close()


def test_dropped_output_never_takes_the_descriptor_of_a_thread_s_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server's threads open files at all times; with the order close, open, this failed each time."""
    over = threading.Event()
    taken: list[str] = []

    def open_files() -> None:
        while not over.is_set():
            with Path(os.devnull).open("rb") as first, tempfile.TemporaryFile() as second:
                opened = (os.fstat(first.fileno()).st_rdev, os.fstat(second.fileno()).st_size)
                second.write(b"x")
                second.flush()
                if opened != (Path(os.devnull).stat().st_rdev, 0) or os.fstat(second.fileno()).st_size != 1:
                    taken.append("another file stands under the number")

    threads = [threading.Thread(target=_guarded(open_files, taken)) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(300):
            monkeypatch.setattr(sys, "stdout", _Broken("full disk").stream)
            print("x")
            _forget_output()
            sys.stdout.close()
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert not taken


def _guarded(work: Callable[[], None], taken: list[str]) -> Callable[[], None]:
    def run() -> None:
        try:
            work()
        except OSError as error:
            taken.append(str(error))

    return run


@pytest.mark.parametrize(("redirected", "code"), [("| true", 141), (">/dev/full", 1), (">&-", 1), ("2>&-", 0)])
def test_the_shell_sees_the_same(redirected: str, code: int, tmp_path: Path) -> None:
    (tmp_path / "user_behavior").mkdir()
    line = f"{sys.executable} -m job.cli sql 'select range from range(99999)' --format csv --tables-dir . {redirected}"
    done = subprocess.run(
        ["bash", "-c", f"{line}\nexit ${{PIPESTATUS[0]}}"], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert (done.returncode, done.stderr.count("\n")) == (code, 0 if code != 1 else 1), done.stderr


def test_a_command_that_prints_nothing_needs_no_output(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = tmp_path / "tables"
    tables.mkdir()
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SystemExit) as ended:
        get_command(app).main(["sql", "select 1", "--tables-dir", str(tables), "--out", str(tmp_path / "y.csv")])
    assert ended.value.code == 0
    sys.stdout.close()


def test_a_broken_connection_is_no_reader_that_went(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with (tmp_path / "out").open("w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        with pytest.raises(typer.Exit) as ended, exit_in_one_sentence():
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")
    assert ended.value.exit_code == 1


def test_a_command_that_runs_out_of_files_says_what_to_raise(tmp_path: Path, data: Path) -> None:
    line = f"ulimit -n 200; {sys.executable} -m job.cli replay {data} --log {tmp_path / 'log'} --partitions 300"
    for redirected in ("", ">/dev/full"):
        done = subprocess.run(["bash", "-c", f"{line} {redirected}"], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "Too many open files; raise the limit of open files (ulimit -n)" in done.stderr
        assert "Traceback" not in done.stderr


def test_output_is_dropped_with_no_descriptor_left() -> None:
    script = (
        "import os, resource\n"
        "from job.commands.way_out import exit_in_one_sentence\n"
        "print('x')\n"
        "soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))\n"
        "try:\n"
        "    with exit_in_one_sentence():\n"
        "        open('x')\n"
        "except BaseException as error:\n"
        "    os._exit(getattr(error, 'exit_code', 9))\n"
    )
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run(
        ["bash", "-c", f'{sys.executable} -c "$0" >/dev/full', script],
        capture_output=True,
        text=True,
        check=False,
        env=buffered,
    )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr


class _OursError(RecloopError):
    """One of ours."""


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (_OursError("no [/news]; do this"), 1, "Error: no [/news]; do this"),
        (PermissionError(errno.EACCES, "Permission denied", "f"), 1, "f: Permission denied; get the right to it"),
        (OSError(errno.EOVERFLOW, "Value too large"), 1, "Value too large; try again"),
        (gzip.BadGzipFile("Not a gzipped file"), 1, "Not a gzipped file; try again"),
        (json.JSONDecodeError("Expecting value", "", 0), 1, "Expecting value"),
        (MemoryError("Unable to allocate 7 TiB"), 1, "the memory does not suffice (Unable to allocate 7 TiB); ask"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: 7 bytes"), 1, "the memory does not suffice"),
        (RuntimeError("Symlink loop from 'a'"), 1, "Symlink loop from 'a'; try again, or give another file"),
        (KeyboardInterrupt(), 130, "Stopped."),
    ],
)
def test_errors_of_users_and_clusters_end_in_a_sentence_and_a_code(raised: BaseException, code: int, said: str) -> None:
    own = typer.Typer(cls=Root)

    @own.command("fail")
    def fail() -> None:
        raise raised

    own.command("other")(lambda: None)
    result = CliRunner().invoke(own, ["fail"])
    assert result.exit_code == code
    assert said in result.output


@pytest.mark.parametrize("fault", [KeyError(0), RuntimeError("a lock is held"), RecursionError()])
def test_a_fault_of_the_program_keeps_its_traceback(fault: Exception) -> None:
    def fail() -> None:
        with exit_in_one_sentence():
            raise fault

    with pytest.raises(type(fault)):
        fail()


@pytest.mark.parametrize(
    "command",
    [
        "data generate --users 3 --items 3 --tastes 2 --behaviors 9 --out {loop}",
        "sql select --tables-dir {folder} --out {loop} --format csv",
    ],
)
def test_links_in_a_circle_end_in_a_sentence(command: str, tmp_path: Path) -> None:
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    result = CliRunner().invoke(app, command.format(loop=loop, folder=tmp_path).split())
    assert result.exit_code == 1
    assert result.exception is None or isinstance(result.exception, SystemExit)

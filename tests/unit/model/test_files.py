"""Files in one piece: the old content or the new one, whatever ends their writer."""

import signal
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.deployment.shipping import PROJECT
from model.files import draft_of, replace_file, whole_file


@given(st.binary(), st.binary(), st.booleans())
def test_a_file_has_the_new_content_and_nothing_is_beside_it(before: bytes, after: bytes, many: bool) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        for content in (before, after):
            replace_file(path, content, many_writers=many)
            assert path.read_bytes() == content
            assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("many", [False, True])
def test_a_block_that_raises_leaves_the_old_content_and_no_draft(
    tmp_path: Path, error: type[BaseException], many: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def write() -> None:
        with whole_file(path, many_writers=many) as file:
            file.write(b"half of the ne")
            raise error

    with pytest.raises(error):
        write()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_sees_the_old_content_until_the_end(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with whole_file(path) as file:
        file.write(b"new" * 100_000)
        assert path.read_bytes() == b"old"
    assert path.read_bytes() == b"new" * 100_000


def test_the_draft_of_a_killed_writer_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    script = (
        "import os, signal; from pathlib import Path; from model.files import whole_file\n"
        f"with whole_file(Path({str(path)!r})) as file:\n"
        "    file.write(b'a longer one than the next'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=PROJECT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == sorted([path, draft_of(path)])
    replace_file(path, b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_of_255_bytes_has_a_draft_too(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    for many in (False, True):
        replace_file(path, b"%d" % many, many_writers=many)
    assert list(tmp_path.iterdir()) == [path]

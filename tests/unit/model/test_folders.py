"""Folders are whole or absent whatever happens, and what a command did not make stays."""

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.commands.train import checkpoints_of
from model import draft_folder, file_lock, folders
from model.bundles.bundle_files import BUNDLE
from model.datasets.prepared import DATASET
from model.folders import (
    MARKER,
    FolderKind,
    FolderNameError,
    NotOursError,
    beside,
    check_replaceable,
    checked_name,
    claim_folder,
    mend,
    whole_folder,
)

KIND = FolderKind("a parcel", "parcel.json", frozenset({"to"}), ("parcel.json", "goods-*"))
Step = Callable[[], None]
_CHANGING = {"whole_folder", "draft_folder", "_remove_if_left", "_swap", "_exchange", "locked_folder", "_locked_handle"}
_CHANGED_IN = {folders.__file__, draft_folder.__file__, file_lock.__file__}


def write(target: Path, content: str, kind: FolderKind = KIND) -> None:
    with whole_folder(target, kind) as folder:
        (folder / "first").write_text(content)
        (folder / "below").mkdir()
        (folder / "below" / "second").write_text(content)


def content_of(target: Path) -> str:
    first, second = ((target / name).read_text() for name in ("first", "below/second"))
    assert first == second
    return first


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_own_folder_is_replaced_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    for content in ("one", "two", "three"):
        write(tmp_path / "parcel", content)
        assert content_of(tmp_path / "parcel") == content
    assert names_in(tmp_path) == ["parcel"]


def test_a_failed_write_leaves_the_old_folder(tmp_path: Path) -> None:
    write(tmp_path / "parcel", "old")
    with pytest.raises(FileNotFoundError), whole_folder(tmp_path / "parcel", KIND) as draft:
        (draft / "absent" / "new").touch()
    assert content_of(tmp_path / "parcel") == "old"
    assert names_in(tmp_path) == ["parcel"]


def _own_thesis(target: Path) -> None:
    (target / "thesis.txt").write_text("precious")


def _thesis_below(target: Path) -> None:
    (target / "below" / "thesis.txt").write_text("precious")


def _empty_folder(target: Path) -> None:
    (target / "mine").mkdir()


def _link(target: Path) -> None:
    (target / "mine").symlink_to("/nowhere")


def _marker_below(target: Path) -> None:
    (target / "below" / MARKER).write_text("precious")


def _folder_with_a_marker(target: Path) -> None:
    claim_folder(target / "mine", KIND)


@pytest.mark.parametrize(
    "add", [_own_thesis, _thesis_below, _empty_folder, _link, _marker_below, _folder_with_a_marker]
)
def test_an_own_folder_with_something_else_in_it_stays(tmp_path: Path, add: Callable[[Path], None]) -> None:
    write(tmp_path / "parcel", "old")
    add(tmp_path / "parcel")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(NotOursError, match="holds something else than a parcel"):
        write(tmp_path / "parcel", "new")
    assert sorted(tmp_path.rglob("*")) == before
    assert content_of(tmp_path / "parcel") == "old"


def test_a_folder_of_another_kind_stays(tmp_path: Path) -> None:
    write(tmp_path / "one", "old", DATASET)
    with pytest.raises(NotOursError, match="is a data set, so a bundle is not written there"):
        write(tmp_path / "one", "new", BUNDLE)
    assert content_of(tmp_path / "one") == "old"


def test_what_came_while_writing_stays(tmp_path: Path) -> None:
    target = tmp_path / "parcel"

    def meanwhile(draft: Path) -> None:
        (draft / "first").write_text("new")
        target.mkdir()
        _own_thesis(target)

    with pytest.raises(NotOursError), whole_folder(target, KIND) as draft:
        meanwhile(draft)
    assert names_in(target) == ["thesis.txt"]
    assert names_in(tmp_path) == ["parcel"]


@pytest.mark.parametrize(
    ("files", "replaced"),
    [
        ({}, True),
        ({"parcel.json": '{"to": "you"}'}, True),
        ({"parcel.json": '{"to": "you"}', "goods-1": ""}, True),
        ({"parcel.json": '{"to": "you"}', "thesis.txt": ""}, False),
        ({"parcel.json": '{"from": "you"}'}, False),
        ({"parcel.json": "[]"}, False),
        ({"parcel.json": "junk"}, False),
        ({"goods-1": ""}, False),
    ],
)
def test_folders_without_a_marker_are_known_by_their_summary(
    tmp_path: Path, files: dict[str, str], *, replaced: bool
) -> None:
    target = tmp_path / "parcel"
    target.mkdir()
    for name, content in files.items():
        (target / name).write_text(content)
    if replaced:
        write(target, "new")
        assert content_of(target) == "new"
        return
    with pytest.raises(NotOursError):
        write(target, "new")
    assert set(names_in(target)) == set(files)


def test_a_file_in_the_place_of_a_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "parcel").write_text("precious")
    with pytest.raises(NotOursError, match="is no folder"):
        write(tmp_path / "parcel", "new")
    assert (tmp_path / "parcel").read_text() == "precious"


def test_of_a_link_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    write(tmp_path / "there", "old")
    (tmp_path / "link").symlink_to(tmp_path / "there")
    write(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert content_of(tmp_path / "there") == "new"


def test_the_current_folder_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path in (Path(), tmp_path):
        with pytest.raises(NotOursError, match="the folder you are in"):
            check_replaceable(path, KIND)
    with pytest.raises(FolderNameError):
        check_replaceable(Path("/"), KIND)


@pytest.mark.parametrize("name", ["", " ", ".", "..", "a/b", "../up", "/a", ".hidden", "a\nb", "a\0b", "é" * 128])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(FolderNameError, match=r"^[^\n]+ cannot name a data set: it .*; take letters"):
        checked_name(name, "a data set")


@given(st.text(max_size=300))
def test_every_name_is_that_of_one_folder_or_refused(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    above = tmp_path_factory.mktemp("names")
    try:
        target = above / checked_name(name, "a parcel")
    except FolderNameError:
        return
    write(target, "one")
    write(target, "two")
    assert names_in(above) == [name]
    assert content_of(target) == "two"


def test_a_long_name_has_a_short_one_beside_it() -> None:
    assert len(os.fsencode(beside(Path("a" * 255), "draft-1").name)) <= 255
    assert beside(Path("x/a"), "old") == Path("x/.a.old")
    for name in ("a", "a" * 250):
        folder = checkpoints_of(Path("x") / name)
        assert len(os.fsencode(folder.name)) <= 255
        assert folder == Path("x").absolute() / folder.name != Path("x").absolute() / name
    assert checkpoints_of(Path("x/a")).name == ".a.training"


def kill_at(line: int, work: Step) -> bool:
    """Run it in another process, killed by -9 at so many lines of what changes folders; False if it got through."""
    if pid := os.fork():
        return os.WIFSIGNALED(os.waitpid(pid, 0)[1])
    left = line

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal left
        if frame.f_code.co_filename not in _CHANGED_IN or frame.f_code.co_name not in _CHANGING:
            return None
        if event == "line":
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
        return trace

    try:
        sys.settrace(trace)
        work()
    finally:
        os._exit(0)


@pytest.mark.heavy
@pytest.mark.parametrize("exchanged", [True, False], ids=["one exchange", "two renames"])
def test_a_kill_at_any_line_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, exchanged: bool
) -> None:
    if not exchanged:
        monkeypatch.setattr(folders, "_exchange", lambda *_: False)
    target, line, seen = tmp_path / "parcel", 0, set()
    write(target, "old")
    while kill_at(line, lambda: write(target, "new")):
        mend(target)
        seen.add(content_of(target))
        write(target, "old")
        assert names_in(tmp_path) == ["parcel"]
        assert content_of(target) == "old"
        line += 1
    assert content_of(target) == "new"
    assert seen == {"old", "new"}
    assert line > 30


def test_a_whole_folder_holds_whole_folders(tmp_path: Path) -> None:
    for content in ("one", "two"):
        with whole_folder(tmp_path / "parcels", FolderKind("parcels", "list", frozenset(), ("*",))) as draft:
            (draft / "list").touch()
            write(draft / "first", content)
            write(draft / "second", content)
            write(draft / "second", content)
        assert [content_of(tmp_path / "parcels" / name) for name in ("first", "second")] == [content, content]
    assert names_in(tmp_path) == ["parcels"]


def test_markers_inside_that_earlier_versions_did_not_list_keep_nothing_from_being_replaced(tmp_path: Path) -> None:
    parcels = FolderKind("parcels", "list", frozenset(), ("*",))
    for content in ("one", "two"):
        with whole_folder(tmp_path / "parcels", parcels) as draft:
            (draft / "list").touch()
            write(draft / "first", content)
        marker = json.loads((tmp_path / "parcels" / MARKER).read_text())
        listed = [name for name in marker["files"] if Path(name).name != MARKER]
        assert listed != marker["files"]
        (tmp_path / "parcels" / MARKER).write_text(json.dumps({**marker, "files": listed}))
    assert content_of(tmp_path / "parcels" / "first") == "two"


def test_a_draft_of_a_living_process_stays(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "parcel", KIND) as outer:
        (outer / "first").write_text("x")
        write(tmp_path / "parcel", "inner")
        assert (outer / "first").exists()
        assert content_of(tmp_path / "parcel") == "inner"
    assert names_in(tmp_path) == ["parcel"]


def test_a_work_folder_is_claimed_once(tmp_path: Path) -> None:
    claim_folder(tmp_path / "work", KIND)
    _own_thesis(tmp_path / "work")
    claim_folder(tmp_path / "work", KIND)
    with pytest.raises(NotOursError, match="holds something that is not a parcel's"):
        claim_folder(tmp_path, KIND)
    (tmp_path / "file").touch()
    with pytest.raises(NotOursError, match="is no folder"):
        claim_folder(tmp_path / "file", KIND)

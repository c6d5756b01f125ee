"""What commands say of data, bundles, registries and tables that are not what they should be: the file and the mend."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from job.cli import app
from job.deployment.model_status import read_models
from job.settings.job_settings import load
from model.bundles.bundle import Bundle, BundleCorruptError, read_manifest
from model.bundles.bundle_files import MANIFEST
from model.datasets.generate import Synthetic, generate
from model.registry.errors import RegistryAccessError
from model.registry.registry import Registry
from tests.unit.model.tiny_bundle import NAME, write_tiny
from tests.unit.tables.rows import HOUR, behavior, commit, made_list

NOBODY = 65_534


@contextmanager
def without_rights(*paths: Path) -> Iterator[None]:
    """Take all rights to the paths, and root's right to ignore that."""
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(0)
    root = os.geteuid() == 0
    try:
        if root:
            os.seteuid(NOBODY)
        yield
    finally:
        if root:
            os.seteuid(0)
        for path, mode in modes.items():
            path.chmod(mode)


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(app, [str(each) for each in arguments], env={"COLUMNS": "400"})
    assert result.exception is None or isinstance(result.exception, SystemExit), repr(result.exception)
    return result


def refusal(*arguments: str | Path) -> str:
    """Return the one line in which a command refuses."""
    result = run(*arguments)
    assert result.exit_code in {1, 2}, result.output
    lines = [line for line in result.output.splitlines() if line.strip()]
    assert len(lines) == 1, result.output
    assert "Errno" not in lines[0]
    return lines[0].strip()


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "log.jsonl").write_text('{"user_id":"u","action":"click","item_id":"i","timestamp":1700000000000}\n')
    (tmp_path / "blank.jsonl").write_text("\n  \n\n")
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("data prepare jsonl --path log.jsonl --name x --items none.csv", "none.csv is not there; say with --items"),
        ("data prepare csv --path none.csv --columns user=u,item=i,time=t --name x", "none.csv is not there; say with"),
        ("data prepare jsonl --path log.jsonl --name x --items folder", "folder is no Parquet file, and no folder of"),
        ("data prepare jsonl --path blank.jsonl --name x", "blank.jsonl has no rows (3 lines, 3 of them blank); give"),
        ("data show ./file", "file is no prepared data set (it is a file and no folder); make one with: recloop data"),
        ("data show ./none", "none is no prepared data set (there is no such folder); make one with: recloop data"),
        ("data show none", "none is no prepared data set (there is no such folder); make one with: recloop data"),
        ("data show ./folder", "folder is no prepared data set (it has no dataset.json); make one with: recloop data"),
        ("compact file", "file is no folder: give the folder a job writes its tables to"),
        ("models list --registry file", "the registry file cannot be used (file: Not a directory); give a folder"),
        ("models list --registry file/below", "the registry file/below cannot be used (file/below: Not a directory)"),
    ],
)
def test_files_and_folders_that_are_something_else_are_named_with_the_mend(
    there: Path, command: str, said: str
) -> None:
    assert said in refusal(*command.split())


def test_a_data_set_that_may_not_be_read_is_not_to_be_made_again(there: Path) -> None:
    (there / "folder" / "dataset.json").write_text("{}")
    with without_rights(there / "folder"):
        said = refusal("data", "show", "./folder")
    assert "folder/dataset.json cannot be read (Permission denied): let this user read it" in said
    assert "prepare" not in said


@pytest.mark.heavy
def test_a_registry_that_may_not_be_read_is_no_empty_one(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry")
    registry.register(write_tiny(tmp_path / "bundle", "1").path)
    (tmp_path / "registry" / "a file beside the models").write_text("x")
    assert registry.names() == (NAME,)
    for folder in (tmp_path / "registry", tmp_path / "registry" / NAME):
        with without_rights(folder), pytest.raises(RegistryAccessError, match=r"Permission denied.*; give a folder"):
            registry.names()


def test_models_of_tables_that_may_not_be_seen_are_told_as_a_problem(tmp_path: Path) -> None:
    settings = load(overrides=["lists.policy=history", f"tables.folder={tmp_path / 'above' / 'tables'}"])
    (tmp_path / "above" / "tables").mkdir(parents=True)
    with without_rights(tmp_path / "above"):
        problem = read_models(settings).problem
    assert problem is not None
    assert "Permission denied" in problem


@pytest.mark.heavy
def test_a_bundle_that_may_not_be_read_is_told_by_its_own_name(tmp_path: Path) -> None:
    folder = write_tiny(tmp_path / "above" / "b", "1").path
    with without_rights(folder.parent), pytest.raises(PermissionError) as denied:
        Bundle.load(folder)
    assert denied.value.filename == str(folder / MANIFEST)


@pytest.fixture
def tables(tmp_path: Path) -> Path:
    row = behavior(0, user="u", item="i1") | {"action": "listen"}
    commit(tmp_path / "tables" / "user_behavior" / HOUR, "part-a-0", [row])
    shown = [made_list(1, ["i1"], user="u") | {"variant": name} for name in ("new", "old")]
    commit(tmp_path / "tables" / "recommendation_lists" / HOUR, "part-a-0", shown)
    return tmp_path / "tables"


def test_an_action_that_is_none_is_refused_with_those_there_are(tables: Path) -> None:
    said = refusal("ab", "report", "--tables-dir", tables, "--action", "click", "--action", "zork")
    assert "no behaviour there has the action 'zork'; there are buy, cart, click, dislike" in said
    assert "listen" in said


@pytest.mark.parametrize("action", ["click", "listen"])
def test_an_action_of_the_table_or_of_a_behaviour_is_reported(tables: Path, action: str) -> None:
    assert run("ab", "report", "--tables-dir", tables, "--action", action).exit_code == 0


@pytest.mark.parametrize("top", ["10001", "1" + "0" * 21, "0", "-1"])
def test_a_longer_list_than_there_can_be_is_refused(tables: Path, top: str) -> None:
    result = run("ab", "report", "--tables-dir", tables, "--top", top)
    assert result.exit_code == 2
    assert "Invalid value for '--top'" in result.output


@pytest.mark.heavy
@pytest.mark.parametrize(
    "changed",
    [{"k": 3}, {"k": 0}, {"k": -1}, {"k": 10**12}, {"history_length": 0}, {"history_length": -1}, {"neighbors": -1}],
)
@pytest.mark.parametrize("read", [read_manifest, Bundle.load])
def test_a_manifest_with_a_number_that_cannot_be_is_refused(
    tmp_path: Path, changed: dict[str, int], read: Callable[[Path], Any]
) -> None:
    bundle = _changed(tmp_path / "b", changed)
    name, value = next(iter(changed.items()))
    with pytest.raises(
        BundleCorruptError, match=rf"b/manifest\.json has {name} {value:,}, and .*; train the model again"
    ):
        read(bundle)


@pytest.mark.heavy
def test_scores_are_not_made_with_such_a_bundle(tmp_path: Path) -> None:
    data = generate(Synthetic(users=9, items=9, behaviors=90, tastes=3), tmp_path / "set", "set").path
    bundle = _changed(tmp_path / "b", {"history_length": 0})
    said = refusal("score", data, "--bundle", bundle, "--out", tmp_path / "lists.jsonl")
    assert "manifest.json has history_length 0" in said


def _changed(folder: Path, changed: dict[str, int]) -> Path:
    write_tiny(folder, "1")
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), **changed}))
    return folder

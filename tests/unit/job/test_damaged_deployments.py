"""A damaged file of a deployment, or a damaged answer, is one sentence that names it and says how to mend it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from job.deployment import lock, tables_owner
from job.deployment.checks import try_client
from job.deployment.history import DeploymentHistory, Shipped
from job.deployment.submission import DeployError, Target, worker_python
from job.settings.given import of_toml
from job.settings.planned_job import PlannedJob, renumbered
from model.errors import RecloopError

READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "the history": ("a.history.jsonl", lambda file: DeploymentHistory(file.parent, "a")),
    "the ids of before the history": ("a.json", lambda file: DeploymentHistory(file.parent, "a")),
    "claims": (tables_owner.FILE, lambda file: tables_owner.claims(file.parent)),
    "numbers": (tables_owner.FILE, lambda file: tables_owner.highest(file.parent)),
    "the settings of a deployment": ("a-1.json", PlannedJob.of_file),
    "the settings to put back": ("a-1.json", lambda file: renumbered(file, number=2, generation=1)),
    "the settings of a user": ("a.toml", of_toml),
}
DAMAGES = {
    "torn": b'{"version": 1, "st\n',
    "no text": b"\xff\xfe\x00\n",
    "another shape": b'"text"\n',
    "a number": b"3\n",
    "null": b"null\n",
    "deep": b"[" * 100_000 + b"\n",
    "deep within": b'{"version": 1, "plan": ' + b"[" * 100_000 + b"\n",
    "other types": b'{"version": 1, "step": [], "number": "x", "generation": {}, "plan": 3, "deployment": 3}\n',
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("reader", READERS)
def test_a_damaged_file_is_told_with_its_name_and_how_to_mend_it(reader: str, damage: str, tmp_path: Path) -> None:
    name, read = READERS[reader]
    (tmp_path / name).write_bytes(DAMAGES[damage])
    with pytest.raises(RecloopError) as refused:
        read(tmp_path / name)
    said = str(refused.value)
    assert str(tmp_path / name) in said
    assert any(mend in said for mend in ("mend", "remove it", "move it away", "give TOML"))
    assert "\n" not in said
    assert "Error(" not in said
    assert len(said.replace(str(tmp_path), "")) < 400


def test_a_claim_that_lacks_a_part_is_told_by_the_name_of_the_part(tmp_path: Path) -> None:
    (tmp_path / tables_owner.FILE).write_text('{"version": 1, "step": "deployed"}\n')
    with pytest.raises(DeployError, match=r"no record of deployments \('number' is missing\): mend it"):
        tables_owner.claims(tmp_path)


@pytest.mark.parametrize(
    "content", [*DAMAGES.values(), b"", b'{"host": "x"}', b'{"pid": -1, "host": "x", "since": "y"}']
)
def test_a_lock_whose_holder_cannot_be_read_is_held_by_another_process(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock, "_ORPHAN_S", 0.0)
    file = tmp_path / "a.lock"
    with lock.held(file, "the job a"):
        file.write_bytes(content)
        with (
            pytest.raises(DeployError, match="the job a is being deployed by another process"),
            lock.held(file, "the job a"),
        ):
            pass


def test_of_a_python_that_is_configured_twice_the_last_one_counts(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("python.executable: /first\nrest.port: 1\npython.executable: '/last'\n")
    environment = {"FLINK_CONF_DIR": str(tmp_path)}
    assert worker_python(Target(rest_url="", environment=environment, folder=tmp_path, checkpoints=None)) == "/last"


def test_a_trial_that_prints_nothing_is_told(tmp_path: Path) -> None:
    entry = tmp_path / "entry.py"
    entry.touch()
    target = Target(rest_url="", environment=dict(os.environ), folder=tmp_path, checkpoints=None)
    with pytest.raises(DeployError, match=r"did not print its operators last \(it printed nothing\)"):
        try_client(target, Shipped(tmp_path / "none", tmp_path / "none", entry))


@pytest.mark.parametrize("printed", ["", "x", "[]", '{"operators": 3}', '{"operators": [1]}', "[" * 100_000])
def test_a_trial_that_prints_something_else_last_is_told(printed: str, tmp_path: Path) -> None:
    entry = tmp_path / "entry.py"
    entry.write_text(f"print({printed!r})")
    target = Target(rest_url="", environment=dict(os.environ), folder=tmp_path, checkpoints=None)
    with pytest.raises(DeployError, match=r"entry\.py declared the job, but .*Nothing was changed$"):
        try_client(target, Shipped(tmp_path / "none", tmp_path / "none", entry))

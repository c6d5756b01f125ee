"""File URIs: Flink takes what follows the scheme literally."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job.cluster import ClusterSpec
from job.cluster.config import flink_configuration
from job.cluster.uris import as_uri, below, file_uri, local_path

PARTS = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=20)


@pytest.mark.parametrize("name", ["é", "a b", "50%", "%20", "a#b", "a?b", "läden/日本"])
def test_a_uri_holds_the_path_letter_by_letter(name: str) -> None:
    assert file_uri(Path("/data") / name) == f"file:///data/{name}"


@given(st.lists(PARTS.filter(lambda part: part not in (".", "..")), min_size=1, max_size=4))
def test_every_path_comes_back_from_its_uri(parts: list[str]) -> None:
    path = Path("/", *parts)
    assert local_path(file_uri(path)) == path
    assert as_uri(f"file:{path}") == file_uri(path) == as_uri(str(path))


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:/a/b", "/a/b"),
        ("file:///a/b", "/a/b"),
        ("file://localhost/a/b", "/a/b"),
        ("s3://bucket/a", None),
        ("hdfs:/a", None),
    ],
)
def test_only_file_uris_are_paths(uri: str, path: str | None) -> None:
    assert local_path(uri) == (None if path is None else Path(path))


def test_other_uris_stay() -> None:
    assert as_uri("s3://bucket/savepoint-1") == "s3://bucket/savepoint-1"
    assert below("s3://bucket/", "savepoints") == "s3://bucket/savepoints"


def test_a_cluster_below_any_folder_keeps_state_there(tmp_path: Path) -> None:
    settings = flink_configuration(ClusterSpec(tmp_path / "é a"))
    assert settings["execution.checkpointing.dir"] == f"file://{tmp_path}/é a/checkpoints"
    assert settings["execution.checkpointing.savepoint-dir"] == f"file://{tmp_path}/é a/savepoints"

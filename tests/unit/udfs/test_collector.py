"""Full garbage collections: they leave out what was alive at `settle`, free what was not, and are counted."""

import ast
import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

import udfs
from udfs.flink.collector import pauses, settle

FUNCTIONS = {"AsyncFunction", "FlatMapFunction", "KeyedProcessFunction", "ProcessFunction"}


@pytest.fixture(autouse=True)
def _thaw() -> Iterator[None]:
    yield
    gc.unfreeze()


class Ring:
    """An object that only a collection frees."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_alive_is_left_out_of_later_collections() -> None:
    alive = [[number] for number in range(1_000)]
    settle()
    assert gc.get_freeze_count() > len(alive)
    assert not any(each is alive for each in gc.get_objects())


def test_what_an_earlier_settle_left_out_is_freed_once_nobody_uses_it() -> None:
    ring = Ring()
    gone = weakref.ref(ring)
    settle()
    del ring
    gc.collect()
    assert gone() is not None
    settle()
    assert gone() is None


def test_full_collections_are_counted_once_and_others_not() -> None:
    gc.disable()
    try:
        pauses()
        gc.collect(0)
        gc.collect(1)
        assert pauses() == (0, 0)
        gc.collect()
        gc.collect()
        assert pauses().number == 2
        assert pauses() == (0, 0)
    finally:
        gc.enable()


def test_every_operator_settles_at_the_end_of_its_open() -> None:
    unsettled, found = [], 0
    for file in Path(str(udfs.__path__[0])).rglob("*.py"):
        for operator in (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ClassDef)):
            if not FUNCTIONS & {ast.unparse(base) for base in operator.bases}:
                continue
            found += 1
            opens = [each for each in operator.body if isinstance(each, ast.FunctionDef) and each.name == "open"]
            if [ast.unparse(each.body[-1]) for each in opens] not in ([], ["settle()"]):
                unsettled.append(operator.name)
    assert found >= 8
    assert unsettled == []

"""A crawler with twice as many items costs a training about twice as much."""

import os
import random
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import msgspec
import pytest

START, SPAN = 1_700_000_000_000, 60 * 86_400_000
PEOPLE = 1_000
Sets = Callable[[int], Path]
"""Returns the prepared set whose crawler interacted with so many items."""


class Cost(msgspec.Struct):
    """CPU seconds and peak memory in MB of a process."""

    cpu_s: float
    mb: float

    def above(self, other: "Cost") -> "Cost":
        return Cost(self.cpu_s - other.cpu_s, self.mb - other.mb)


def cost_of(*arguments: str) -> Cost:
    """Run Python in a process of its own, which has to end with 0."""
    # Not subprocess: of several children the usage is that of the one that is waited for.
    quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (1, 2)]
    pid = os.posix_spawn(sys.executable, [sys.executable, *arguments], os.environ, file_actions=quiet)
    _, status, usage = os.wait4(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


@cache
def imports(modules: str) -> Cost:
    return cost_of("-c", f"import {modules}")


def crawled(path: Path, pages: int, people: int = PEOPLE) -> Path:
    """Write a log of people with some 20 of 2,000 items each, and of a crawler that takes each item once."""
    draw = random.Random(0)
    rows = [
        (START + draw.randrange(SPAN), f"u{user}", f"i{item}")
        for user in range(people)
        for item in draw.sample(range(2_000), 20)
    ]
    rows += [(START + draw.randrange(SPAN), "crawler", f"i{item}") for item in range(pages)]
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as out:
        for at, user, item in sorted(rows):
            out.write(encode({"user_id": user, "action": "click", "item_id": item, "timestamp": at}) + b"\n")
    return path


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> Sets:
    folder = tmp_path_factory.mktemp("crawled")

    @cache
    def prepared(pages: int) -> Path:
        log = crawled(folder / f"{pages}.jsonl", pages)
        named = ("--path", str(log), "--name", f"{pages}", "--data-dir", str(folder))
        cost_of("-m", "job.cli", "data", "prepare", "jsonl", *named)
        return folder / f"{pages}"

    return prepared


def assert_linear(once: Cost, twice: Cost) -> None:
    """Assert that twice the items cost about twice as much, above what processes differ by from run to run."""
    assert twice.cpu_s < 2.6 * max(once.cpu_s, 1.0)
    assert twice.mb < 2.6 * max(once.mb, 200.0)


SMALL = ("--dim", "16", "--epochs", "1")
TRAININGS = {
    "item-cf": (),  # it counts pairs of items
    "popularity": (),  # its neighbours count pairs of items
    "hstu": SMALL,
    "gru": SMALL,
    "linear-recurrence": SMALL,
    "bpr": SMALL,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAININGS)
def test_twice_the_items_cost_a_training_about_twice_as_much(name: str, sets: Sets, tmp_path: Path) -> None:
    once, twice = (
        cost_of(
            "-m",
            "job.cli",
            "train",
            str(sets(count)),
            *("--recommender", name, "--out", str(tmp_path / f"{count}"), *TRAININGS[name]),
        ).above(imports("job.commands.train, model.fit, model.recommenders.next_item"))
        for count in (20_000, 40_000)
    )
    assert_linear(once, twice)

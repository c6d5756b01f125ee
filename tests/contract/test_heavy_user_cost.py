"""A crawler that meets twice as many items costs `recloop train` about twice as much where it counts pairs of items."""

import os
import random
import sys
from functools import cache
from pathlib import Path

import msgspec
import pytest

START, SPAN = 1_700_000_000_000, 60 * 86_400_000
PAIRING = ("item-cf", "popularity")
"""Kinds whose model or neighbours count pairs of items."""


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
def imports() -> Cost:
    return cost_of("-c", "import job.commands.train, model.fit, model.recommenders.next_item")


def crawled(path: Path, pages: int, people: int = 2_000) -> Path:
    """People who meet some 20 of 2,000 items each, and a crawler that meets each item once."""
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
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("crawled")
    for pages in (20_000, 40_000):
        log = crawled(folder / f"{pages}.jsonl", pages)
        cost_of(
            "-m",
            "job.cli",
            "data",
            "prepare",
            "jsonl",
            "--path",
            str(log),
            "--name",
            "crawled",
            "--data-dir",
            str(folder / str(pages)),
        )
    return {pages: folder / str(pages) / "crawled" for pages in (20_000, 40_000)}


@pytest.mark.slow
@pytest.mark.parametrize("name", PAIRING)
def test_twice_the_items_cost_about_twice_as_much(name: str, sets: dict[int, Path], tmp_path: Path) -> None:
    once, twice = (
        cost_of(
            "-m", "job.cli", "train", str(folder), "--recommender", name, "--out", str(tmp_path / f"b{pages}")
        ).above(imports())
        for pages, folder in sorted(sets.items())
    )
    assert twice.cpu_s < 2.6 * once.cpu_s
    assert twice.mb < 2.6 * max(once.mb, 50.0)

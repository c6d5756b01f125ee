"""`make bench-accuracy`: our recommenders beside other libraries', by one protocol and one tuning budget.

Every training's lists are kept under `--folder`, so it can be broken off and called again; the whole takes many hours
of one core. First everything with one seed, then the other seeds.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from tests.bench.accuracy.cells import Store
from tests.bench.accuracy.contest import Contest
from tests.bench.accuracy.plan import FAMILIES, SEEDS, Family
from tests.bench.accuracy.report import Standing, as_json, as_markdown
from tests.bench.accuracy.sets import ORIGINS, problem

FOLDER = Path(".recloop/bench-accuracy")


def main(
    dataset: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(ORIGINS)}; all by default.")] = None,
    family: Annotated[list[str] | None, typer.Option(help="By name; all by default.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Trainings for the test.")] = SEEDS,
    choices: Annotated[
        int | None, typer.Option(min=1, help="Try only the first so many settings of each; all by default.")
    ] = None,
    shared: Annotated[Path, typer.Option(help="Folder of the data sets that are not fetched.")] = Path("shared/data"),
    folder: Annotated[Path, typer.Option(help="Where finished trainings are kept.")] = FOLDER,
    quick: Annotated[bool, typer.Option("--quick", help="MovieLens-100K, what trains in seconds, one seed.")] = False,
    report: Annotated[bool, typer.Option("--report", help="Train nothing, show what is there.")] = False,
) -> None:
    """Compare."""
    console = Console()
    names = ["ml-100k"] if quick else dataset or list(ORIGINS)
    families = [each for each in FAMILIES if (each.quick if quick else not family or each.name in family)]
    store = Store(folder / "cells")
    contests = [Contest(problem(name, shared, folder / "data"), store, tell) for name in names]
    if not report:
        for count in sorted({1, 1 if quick else seeds}):
            train(contests, families, count, choices)
    standings = [standing(contest, families, seeds) for contest in contests]
    told = as_markdown(standings)
    (folder / "report.md").write_text(told)
    (folder / "report.json").write_text(json.dumps(as_json(standings), indent=2))
    console.print(Markdown(told))


def tell(news: str) -> None:
    """A line on standard error."""
    typer.echo(f"{datetime.now(UTC):%H:%M:%S} {news}", err=True)


def train(contests: list[Contest], families: list[Family], seeds: int, choices: int | None) -> None:
    """A family after the other, each on all data sets."""
    for family in families:
        for contest in contests:
            for contender in family.contenders:
                contest.train(contender, seeds, choices)


def standing(contest: Contest, families: list[Family], seeds: int) -> Standing:
    """What is there of one data set."""
    results = [(each, [contest.result(contender, seeds) for contender in each.contenders]) for each in families]
    return Standing(
        name=contest.problem.name,
        title=contest.problem.title,
        users=contest.problem.splits["test"].log.user[contest.problem.splits["test"].rows],
        families=tuple((each, tuple(one for one in found if one is not None)) for each, found in results),
    )


if __name__ == "__main__":
    typer.run(main)

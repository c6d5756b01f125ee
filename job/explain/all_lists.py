"""The recomputation of many lists at once, to judge whether each row equals what it was made from."""

from collections.abc import Callable, Iterator
from pathlib import Path

from job.explain.inputs import Deployments
from job.explain.log_records import read_places
from job.explain.recompute import recompute
from job.explain.records import ListRecord, read_all


def recomputed_lists(
    tables: Path, deployments: Deployments, wanted: Callable[[ListRecord], bool]
) -> Iterator[tuple[ListRecord, tuple[str, ...]]]:
    """Yield each wanted list with everything about it that is not as it was written.

    Args:
        tables: the tables folder.
        deployments: those that made the lists.
        wanted: returns whether a list is made again; one with scores costs a call of the model.

    Raises:
        ExplainError: something that a list was made from is gone.
        LogError: the log cannot be read.
        BundleError: a model's bundle is damaged.
        RegistryError: the registry of models cannot be read.
    """
    recorded = [each for each in read_all(tables) if wanted(each.made)]
    places = {behavior.at for each in recorded for behavior in each.behaviors}
    records = read_places(deployments.newest().settings, places) if places else {}
    for each in recorded:
        yield each.made, recompute(each, deployments, records).differences

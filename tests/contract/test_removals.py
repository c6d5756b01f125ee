"""Each place that removes or replaces files, and why all that it can meet is ours."""

import ast
from collections.abc import Iterator

from job.deployment.import_graph import PACKAGES
from job.deployment.shipping import PROJECT

MARKED = "inside a folder that carries our marker, which `claim_folder` or `whole_folder` gave it"
TEMPORARY = "in a temporary folder of this process, or of one that died, by its lock"
DRAFT = "a hidden draft of its own, put in the place of what the user named, or given up"
OWN_NAME = "a file that only recloop gives that name, in the folder that it keeps it in"

PLACES = {
    "job/bench/brokered.py": MARKED,
    "job/bench/live.py": MARKED,
    "job/bench/run.py": MARKED,
    "job/cluster/high_availability.py": MARKED,
    "job/cluster/layout.py": MARKED,
    "job/cluster/lifecycle.py": MARKED,
    "job/cluster/processes.py": MARKED,
    "job/cluster/supervisor.py": MARKED,
    "job/cluster/worker_forks.py": MARKED,
    "job/demo.py": MARKED,
    "job/deployment/leftovers.py": "files that a line of a history names, in the folder of deployments",
    "job/drills/drill.py": MARKED,
    "job/drills/faults/folders.py": MARKED,
    "job/drills/faults/job_managers.py": MARKED,
    "job/drills/faults/registries.py": MARKED,
    "job/drills/gate.py": MARKED,
    "job/drills/run.py": MARKED,
    "job/drills/small_disks.py": MARKED,
    "job/freshness/evaluation.py": MARKED,
    "job/housekeeping/job_state.py": "a folder of Flink's named by the id of a job that a history records",
    "job/kafka/artifacts.py": DRAFT,
    "job/learning/behavior_copy.py": MARKED,
    "job/offline/run.py": DRAFT,
    "job/tables/compaction.py": "files that Flink's sink or compaction named, which the journal names",
    "job/tables/flink.py": TEMPORARY,
    "job/tables/journal.py": "the journal, and files that it names",
    "job/tables/leftovers.py": "hidden files that Flink's sink named, each row of which was written again",
    "model/datasets/prepare.py": DRAFT,
    "model/draft_folder.py": DRAFT,
    "model/files.py": DRAFT,
    "model/folders.py": MARKED,
    "model/registry/store.py": "files that a registration wrote, and folders that are empty then",
    "model/training/checkpoint.py": OWN_NAME,
    "udfs/scoring/score_cache.py": TEMPORARY,
}
_REMOVING = {"rmtree", "unlink", "rmdir", "rename", "removedirs", "renames"}

_OF_MODULES = {("os", "remove"), ("os", "replace"), ("shutil", "move")}


def test_each_place_is_known_and_none_is_listed_for_nothing() -> None:
    files = (file for package in PACKAGES for file in sorted((PROJECT / package).rglob("*.py")))
    found = {file.relative_to(PROJECT).as_posix() for file in files if any(removals(ast.parse(file.read_text())))}

    assert found == PLACES.keys()


def removals(tree: ast.AST) -> Iterator[ast.Attribute]:
    """Yield each mention of a function that removes or moves files; of str, replace takes two arguments."""
    calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        call = calls.get(id(node))
        is_move = node.attr == "replace" and call is not None and len(call.args) == 1 and not call.keywords
        module = node.value.id if isinstance(node.value, ast.Name) else ""
        if node.attr in _REMOVING or is_move or (module, node.attr) in _OF_MODULES:
            yield node

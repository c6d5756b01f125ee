"""A run of offline scoring: score every user of a data set, and write the result whole or not at all.

Until then all work is in a folder beside the result, `.NAME.scoring`. If a run is interrupted, the next one with the
same inputs and settings continues it, part by part.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from job.offline.score import PartProgress, ScoreParts, scored_file
from job.offline.split import parts_of, split
from job.settings.job_settings import JobSettings
from job.topology.rules import action_table
from model.bundles.bundle import Bundle
from model.bundles.trial import try_bundle
from model.datasets.prepared import Dataset
from model.errors import RecloopError
from model.file_lock import try_lock
from model.files import replace_file, whole_file
from model.folders import FolderKind, beside, check_replaceable, whole_folder
from model.worker_processes import Worker, run_workers

_SUMMARY = "scores.json"
SCORES = FolderKind("a folder of scores", _SUMMARY, frozenset({"model_hash", "parts"}), (_SUMMARY, "part-*.jsonl"))
_PLAN = "plan.json"
_LOCK = ".lock"
_LONGEST_LINE = 1 << 24  # bytes; a line has one user's items
Progress = Callable[[str, int, int], None]
"""A callback that gets the name of the phase, the amount done, and the total."""


class OfflineError(RecloopError):
    """Users cannot be scored with these inputs; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order to score all users of a data set.

    Attributes:
        dataset: the data set; its users are scored as they are at its end.
        settings: the job's settings, which name the bundle; of the others, only those count that decide the model's
            inputs and the number of candidates.
        out: a folder of parts, or a single file if the name has a suffix, as in lists.jsonl.
        processes: the number of processes that share the parts.
    """

    dataset: Dataset
    settings: JobSettings
    out: Path
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Summary:
    """The summary of a result.

    Attributes:
        users: the number of users, one line each.
        parts: the number of parts.
        unknown_actions: the number of behaviours that were ignored, as their action is not in the table.
        dataset: the data set's name.
        fingerprint: sha256 of its behaviours.
        model_version: the bundle's version.
        model_hash: the bundle's hash.
    """

    users: int
    parts: int
    unknown_actions: int
    dataset: str
    fingerprint: str
    model_version: str
    model_hash: str


class _Plan(msgspec.Struct, frozen=True):
    """The inputs of the parts in a folder; it is written once the data set is split."""

    fingerprint: str
    model_hash: str
    settings: str
    parts: int
    unknown_actions: int


def score_users(order: Order, progress: Progress = lambda *_: None) -> Summary:
    """Score every user of a data set.

    Args:
        order: the inputs and the output.
        progress: called from time to time.

    Raises:
        OfflineError: no bundle is named, it returns too few items, `out` is something else, or another run is active.
        BundleError: the bundle cannot be used.
        WorkerError: a process raised, or was killed repeatedly.
    """
    if order.settings.scoring.bundle is None:
        msg = "name the bundle to score with: --bundle FOLDER"
        raise OfflineError(msg)
    bundle, info = Bundle.load(order.settings.scoring.bundle), order.dataset.info
    wanted, there = order.settings.scoring.candidates, bundle.manifest.k
    if wanted > there and there < bundle.manifest.items:  # a bundle that returns all its items cannot return more
        msg = f"{bundle.path} returns {there} items at most, and {wanted} are wanted: train it again with --k {wanted}"
        raise OfflineError(msg)
    if order.out.suffix:
        _refuse_other_file(order.out)
    else:
        check_replaceable(order.out, SCORES)
    try_bundle(bundle)
    draft = beside(order.out, "scoring")
    with _alone_in(draft):
        plan = _split(order, bundle, draft, progress)
        _score(order, plan, draft, progress)
        summary = Summary(
            users=info.users,
            parts=plan.parts,
            unknown_actions=plan.unknown_actions,
            dataset=info.name,
            fingerprint=info.fingerprint,
            model_version=bundle.manifest.version,
            model_hash=bundle.hash,
        )
        _put_together(order.out, draft, summary)
    return summary


def _refuse_other_file(out: Path) -> None:
    """Refuse to replace a file whose first line is not a line of scores."""
    if out.is_dir():
        msg = f"{out} is a folder, and a name with a suffix means a file: name another one with --out"
        raise OfflineError(msg)
    if not out.exists():
        return
    with out.open("rb") as lines:
        first = lines.readline(_LONGEST_LINE)
    try:
        known = not first or "model_hash" in msgspec.json.decode(first, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        known = False
    if not known:
        msg = f"{out} is there, and holds no scores: name another file with --out"
        raise OfflineError(msg)


@contextmanager
def _alone_in(draft: Path) -> Iterator[None]:
    """Make the folder and lock it for one run; remove it at the end, but keep it after an error."""
    draft.mkdir(parents=True, exist_ok=True)
    with (draft / _LOCK).open("w") as lock:
        if not try_lock(lock):
            msg = f"another recloop score is at work in {draft}: wait for it, or name another place with --out"
            raise OfflineError(msg)
        yield
        shutil.rmtree(draft)


def _split(order: Order, bundle: Bundle, draft: Path, progress: Progress) -> _Plan:
    """Split the data set, unless an earlier run with the same inputs has done it."""
    dataset, settings = order.dataset, _settings(order)
    digest = hashlib.sha256(settings.encode()).hexdigest()
    found: _Plan | None = None
    with suppress(FileNotFoundError, msgspec.DecodeError):
        found = msgspec.json.decode((draft / _PLAN).read_bytes(), type=_Plan)
    wanted = (dataset.info.fingerprint, bundle.hash, digest, parts_of(dataset))
    if found is not None and (found.fingerprint, found.model_hash, found.settings, found.parts) == wanted:
        return found
    for file in draft.iterdir():
        if file.name != _LOCK:
            file.unlink()
    total = dataset.info.behaviors
    unknown = split(dataset, draft, action_table(order.settings), lambda done: progress("splitting", done, total))
    plan = _Plan(*wanted, unknown)
    replace_file(draft / _PLAN, msgspec.json.encode(plan))
    return plan


def _settings(order: Order) -> str:
    """Return the settings that the result depends on, as JSON."""
    return order.settings.model_dump_json(include={"actions", "profile", "scoring", "lists"})


def _score(order: Order, plan: _Plan, draft: Path, progress: Progress) -> None:
    """Score the parts that are not scored yet."""
    left = tuple(part for part in range(plan.parts) if not scored_file(draft, part).exists())
    users: dict[int, int] = {}
    for part in set(range(plan.parts)).difference(left):
        with scored_file(draft, part).open("rb") as lines:
            users[part] = sum(1 for _ in lines)

    def on_progress(news: PartProgress) -> None:
        users[news.part] = news.users
        progress("scoring", sum(users.values()), order.dataset.info.users)

    work = ScoreParts(draft, left, _settings(order), plan.model_hash, order.dataset.info.last_timestamp)
    if order.processes == 1:
        work(Worker(0, 1, 0, on_progress))
    elif left:
        run_workers(work, min(order.processes, len(left)), on_progress)


def _put_together(out: Path, draft: Path, summary: Summary) -> None:
    parts = [scored_file(draft, part) for part in range(summary.parts)]
    if out.suffix:
        with whole_file(out) as target:
            for part in parts:
                with part.open("rb") as source:
                    shutil.copyfileobj(source, target)
        return
    with whole_folder(out, SCORES) as folder:
        for part in parts:
            part.rename(folder / part.name)
        (folder / _SUMMARY).write_bytes(msgspec.json.format(msgspec.json.encode(asdict(summary))) + b"\n")

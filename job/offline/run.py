"""Scores every user of a data set and puts the lines where they are wanted, whole or not at all.

All work lies in a folder beside the result until then, `.NAME.scoring`: a run that ended before it was through is gone
on with by the next one that wants the same, part by part.
"""

import hashlib
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from job.offline.score import PartTold, ScoreParts, scored_file
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

SUMMARY = "scores.json"
SCORES = FolderKind("a folder of scores", SUMMARY, frozenset({"model_hash", "parts"}), (SUMMARY, "part-*.jsonl"))
_PLAN = "plan.json"
_LOCK = ".lock"
_LONGEST_LINE = 1 << 24  # bytes; a line has one user's items
Progress = Callable[[str, int, int], None]
"""Told what is done, how much of it, and of how much."""


class OfflineError(RecloopError):
    """Users cannot be scored so; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is wanted.

    Attributes:
        dataset: whose users are scored, as they stand at its end.
        settings: name the bundle; of the other settings, those count that say what the job asks a model.
        out: a folder of parts; with a suffix, as in lists.jsonl, one file.
        processes: that share the parts.
    """

    dataset: Dataset
    settings: JobSettings
    out: Path
    processes: int = 1


@dataclass(frozen=True, slots=True)
class Summary:
    """What was scored.

    Attributes:
        users: lines of the result.
        parts: files that they are in.
        unknown_actions: behaviours that changed nothing, as their action is not in the table.
        dataset: name of the data set.
        fingerprint: sha256 of its behaviours.
        model_version: of the bundle.
        model_hash: of the bundle.
    """

    users: int
    parts: int
    unknown_actions: int
    dataset: str
    fingerprint: str
    model_version: str
    model_hash: str


class _Plan(msgspec.Struct, frozen=True):
    """What the parts in a folder are made from; it is written when all are split."""

    fingerprint: str
    model_hash: str
    settings: str
    parts: int
    unknown_actions: int


def score_users(order: Order, progress: Progress = lambda *_: None) -> Summary:
    """Scores every user of a data set.

    Args:
        order: what is wanted.
        progress: told now and then.

    Raises:
        OfflineError: the bundle returns too few items, `out` is another thing, or another run is at it.
        BundleError: the bundle cannot be used.
        WorkerError: a process raised, or was killed again and again.
    """
    if order.settings.scoring.bundle is None:
        msg = "name the bundle to score with: --bundle FOLDER"
        raise OfflineError(msg)
    bundle = Bundle.load(order.settings.scoring.bundle)
    _check(order, bundle)
    try_bundle(bundle)
    draft = beside(order.out, "scoring")
    with _alone_in(draft):
        plan = _split(order, bundle, draft, progress)
        _score(order, plan, draft, progress)
        summary = _summary(order.dataset, bundle, plan)
        _put_together(order.out, draft, summary)
    return summary


def _check(order: Order, bundle: Bundle) -> None:
    wanted, there = order.settings.scoring.candidates, bundle.manifest.k
    if wanted > there and there < bundle.manifest.items:  # one that returns all it knows can give no more
        msg = f"{bundle.path} returns {there} items at most, and {wanted} are wanted: train it again with --k {wanted}"
        raise OfflineError(msg)
    if order.out.suffix:
        _refuse_other_file(order.out)
    else:
        check_replaceable(order.out, SCORES)


def _refuse_other_file(out: Path) -> None:
    """A file is replaced only if its first line is one of ours."""
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
    """Makes the folder, and lets one run at a time work in it; in the end it is gone, unless something went wrong."""
    draft.mkdir(parents=True, exist_ok=True)
    with (draft / _LOCK).open("w") as lock:
        if not try_lock(lock):
            msg = f"another recloop score is at work in {draft}: wait for it, or name another place with --out"
            raise OfflineError(msg)
        yield
        shutil.rmtree(draft)


def _split(order: Order, bundle: Bundle, draft: Path, progress: Progress) -> _Plan:
    """Splits the data set, unless an earlier run for the same has done it."""
    dataset, settings = order.dataset, _settings(order)
    digest = hashlib.sha256(settings.encode()).hexdigest()
    found = _plan_in(draft)
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
    """Those that decide what comes out, as JSON."""
    return order.settings.model_dump_json(include={"actions", "profile", "scoring", "lists"})


def _plan_in(draft: Path) -> _Plan | None:
    try:
        return msgspec.json.decode((draft / _PLAN).read_bytes(), type=_Plan)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _score(order: Order, plan: _Plan, draft: Path, progress: Progress) -> None:
    """Scores the parts that are not scored yet."""
    left = tuple(part for part in range(plan.parts) if not scored_file(draft, part).exists())
    users = {part: _lines(scored_file(draft, part)) for part in range(plan.parts) if part not in left}

    def hear(news: PartTold) -> None:
        users[news.part] = news.users
        progress("scoring", sum(users.values()), order.dataset.info.users)

    work = ScoreParts(draft, left, _settings(order), plan.model_hash, order.dataset.info.last_timestamp)
    if order.processes == 1:
        work(Worker(0, 1, 0, hear))
    elif left:
        run_workers(work, min(order.processes, len(left)), hear)


def _lines(file: Path) -> int:
    with file.open("rb") as lines:
        return sum(1 for _ in lines)


def _summary(dataset: Dataset, bundle: Bundle, plan: _Plan) -> Summary:
    info = dataset.info
    made_by = (info.name, info.fingerprint, bundle.manifest.version, bundle.hash)
    return Summary(info.users, plan.parts, plan.unknown_actions, *made_by)


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
        (folder / SUMMARY).write_bytes(msgspec.json.format(msgspec.json.encode(asdict(summary))) + b"\n")

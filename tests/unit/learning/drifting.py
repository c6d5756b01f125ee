"""A world whose users change: phases of behaviours, and a job that serves a model of the first phase."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from job.replay.log_writer import LogWriter
from job.settings.job_settings import JobSettings, load
from model.actions import DEFAULT_ACTIONS
from model.bundles.bundle import Bundle, Manifest, Training, write_bundle
from model.bundles.export import contents_of
from model.bundles.trial import try_bundle
from model.datasets.interactions import interactions_of, training_vocabulary
from model.recommenders.kinds import Size, TrainingSet, kind_named
from model.records import UserBehavior
from model.registry.registry import Registry

NAME = "learned"
ITEMS, USERS, STEPS = 30, 40, 12
PHASE = USERS * STEPS
"""Behaviours of a phase."""
MINUTE_MS = 60_000
BEGIN_MS = 1_760_000_000_000


def phase(number: int, *, ring: bool) -> list[UserBehavior]:
    """Users of their own, each a minute after the other: round the items, or from one to any other."""
    random = np.random.default_rng(number)
    orders = [random.permutation(ITEMS) for _ in range(USERS)]
    found = []
    for step in range(STEPS):
        for user in range(USERS):
            item = (user + step) % ITEMS if ring else int(orders[user][step])
            at = BEGIN_MS + MINUTE_MS * (number * PHASE + step * USERS + user)
            found.append(UserBehavior(f"u{number}-{user}", "click", f"i{item}", at, f"{number}-{step}-{user}"))
    return found


def settings(folder: Path, *more: str) -> JobSettings:
    """Rounds of 200 held-out behaviours, as often as there are as many new ones; a candidate has to be better."""
    places = {
        "models.url": folder / "registry",
        "models.cache": folder / "cache",
        "log.folder": folder / "log",
        "tables.folder": folder / "tables",
        "learn.folder": folder / "learn",
    }
    given = [f"{name}={json.dumps(str(path))}" for name, path in places.items()]
    pace = ["learn.behaviors=200", "learn.held_out=200", "learn.worse_by=0", "learn.slower_by=1000"]
    return load(None, [*given, f"models.name={NAME}", *pace, *more]).resolved()


def append(folder: Path, behaviors: list[UserBehavior]) -> None:
    """Append to the log, which is made with two partitions."""
    with LogWriter(folder / "log", 2) as log:
        log.append(behaviors)


def serve_first(folder: Path, recommender: str = "slit") -> Bundle:
    """Train on the first phase, which goes round no items, and make it the registry's current version."""
    behaviors = phase(0, ring=False)
    append(folder, behaviors)
    log = interactions_of(behaviors, DEFAULT_ACTIONS)
    log = log.with_vocabulary(training_vocabulary(log))
    spec = kind_named(recommender)
    learned = spec.learn(TrainingSet(log, log.vocabulary), Size(dim=8), None, lambda _: None)
    known = Training(dataset="d", fingerprint="f", cut_off=behaviors[-1].timestamp + 1, behaviors=len(log))
    manifest = Manifest(
        name=NAME,
        recommender=recommender,
        version="first",
        created_at=datetime.now(UTC).isoformat(),
        history_length=20,
        k=learned.recommender.k,
        training=known,
    )
    bundle = write_bundle(folder / "first", contents_of(learned, log, {}), manifest, try_bundle)
    Registry(folder / "registry").offer(bundle.path, NAME)
    return bundle

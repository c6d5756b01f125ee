"""The learner: rounds of follow, train, register, judge, decide; each step may be repeated after a kill.

What is decided is in the state before it is carried out. So a decision is made once, and carried out until it is done:
the pointer is moved if it is where it was, the row of model_updates replaces itself, and then the state forgets both.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from job.learning.behavior_copy import BehaviorCopy
from job.learning.decisions import about, could_not, judged, rolled_back, turned_down
from job.learning.errors import LearnError
from job.learning.live import fell, read_live
from job.learning.state import Folder, LearnState, Plan, Promoted
from job.learning.updates import write_update
from job.settings.job_settings import JobSettings
from job.topology.rules import action_table, milliseconds
from model.actions import history_actions
from model.bundles.bundle import Bundle, BundleError, read_manifest
from model.errors import TrainingError
from model.learning.candidate import Asked, Lessons, Named, write_candidate
from model.learning.gate import Bounds, judge
from model.learning.measured import evidence_of
from model.learning.rounds import NothingNewError, Pace, is_due, round_of
from model.recommenders.kinds import Progress
from model.records import EpochMs
from model.registry.errors import RegistryMoveError
from model.registry.pointers import CURRENT, Version
from model.registry.registry import Registry
from model.training.checkpoint import CheckpointError, remove_checkpoint
from udfs.rows import ModelUpdateRow

LIVE_EVERY_S = 60.0
"""Time from one look at the live hit rate to the next: each reads the newest hours of the tables."""
_LAST_NUMBER = "SELECT max(decision_number) FROM model_updates WHERE model = ?"


class Step(StrEnum):
    """The step just completed; after each of them learning may be killed."""

    FOLLOWED = "followed"
    PLANNED = "planned"
    TRAINED = "trained"
    REGISTERED = "registered"
    DECIDED = "decided"
    MOVED = "moved"
    WRITTEN = "written"
    CLOSED = "closed"


def now_ms() -> EpochMs:
    """Return the time, epoch milliseconds."""
    return time.time_ns() // 1_000_000


class Learner:
    """The learning of one model; `step` brings it one decision further, if one is due.

    Attributes:
        folder: the folder of its state; to be locked while it steps.
    """

    def __init__(
        self,
        job: JobSettings,
        *,
        on_step: Callable[[Step], None] = lambda _: None,
        progress: Progress = lambda _: None,
        clock: Callable[[], EpochMs] = now_ms,
    ) -> None:
        """Take the settings of the job, resolved.

        Args:
            job: models.url and models.name are what is learned; the log and the tables are the job's.
            on_step: called after each step.
            progress: called with each stage's name and each finished epoch.
            clock: returns the time, epoch milliseconds.

        Raises:
            LearnError: the settings name no model of a registry.
            RegistryError: the registry cannot be used.
        """
        if job.models.url is None or job.models.name is None:
            msg = "what is learned? Give the job's models.url and models.name: --set models.url=.recloop/registry"
            raise LearnError(msg)
        self._job, self._name, self._clock = job, job.models.name, clock
        self._registry = Registry(job.models.url)
        self.folder = Folder(job.learn.folder / job.models.name)
        self._on_step, self._progress = on_step, progress
        self._copy = BehaviorCopy(job, self.folder)
        self._looked_at = float("-inf")

    @property
    def is_behind(self) -> bool:
        """True if the log had more than the last step read."""
        return self._copy.is_behind

    def close(self) -> None:
        """Close the log."""
        self._copy.close()

    def step(self) -> ModelUpdateRow | None:
        """Finish what was begun, else follow the log and decide if that is due; return the decision.

        Raises:
            LearnError: the state is damaged, or the log does not answer.
            LogError: there is no log, or not the one that was read before.
            RegistryError: the registry cannot be used, or no version of the model is current.
            BundleError: the served bundle is damaged.
            TablesError: the tables cannot be read.
        """
        state = self._numbered(self.folder.read(self._name))
        if state.pending is not None:
            return self._carry_out(state, state.pending)
        if state.plan is None:
            state = self._follow(state)
            if (fallen := self._fallen(state)) is not None:
                return self._decide(state, fallen)
            state = self._planned(state)
        return None if state.plan is None else self._finish(state, state.plan)

    def _numbered(self, state: LearnState) -> LearnState:
        """Have a new folder go on from the numbers of the table, in which equal ones would replace older decisions."""
        if state.decided or state.followed:
            return state
        from job.tables import duck  # the `recloop` command starts without it

        found = duck.query(self._job.tables.folder, _LAST_NUMBER, [self._name]).rows[0][0]
        return msgspec.structs.replace(state, decided=int(str(found or 0)))

    def _keep(self, state: LearnState, step: Step) -> LearnState:
        self.folder.write(state)
        self._on_step(step)
        return state

    def _follow(self, state: LearnState) -> LearnState:
        grown = self._copy.follow(state, self._clock())
        if grown == state:
            return state
        grown = self._copy.without_old(grown, milliseconds(self._job.learn.window))
        self._keep(grown, Step.FOLLOWED)
        self._copy.remove_unnamed(grown)
        return grown

    def _planned(self, state: LearnState) -> LearnState:
        """Begin a round if one is due: name the candidate, and what it is compared with."""
        now = self._clock()
        if not is_due(state.followed - state.judged, now - state.judged_at_ms, self._pace):
            return state
        at = datetime.fromtimestamp(now // 1000, UTC)
        plan = Plan(
            version=f"{at:%Y%m%dT%H%M%S}.{state.decided + 1}",
            served=self._registry.find(self._name, CURRENT),
            planned_at_ms=now,
        )
        remove_checkpoint(self.folder.training)  # of a round that came to nothing
        begun = msgspec.structs.replace(state, plan=plan, judged=state.followed, judged_at_ms=now)
        return self._keep(begun, Step.PLANNED)

    def _finish(self, state: LearnState, plan: Plan) -> ModelUpdateRow | None:
        """Train, register and judge the candidate of a round, and decide; forget a round that has nothing to learn."""
        started = time.process_time()
        served = Bundle.load(self._registry.fetch(self._name, plan.served, self._job.models.cache))
        log = self._copy.load(state)
        try:
            split = round_of(log, served.manifest.training.cut_off, self._pace)
        except NothingNewError:
            self._keep(msgspec.structs.replace(state, plan=None), Step.CLOSED)
            return None
        row = about(self._name, state, plan, behaviors=len(log), cut_off=split.cut_off)
        asked = Asked(log, split, served, self._lessons, self._named(plan), checkpoints=self.folder.training)
        try:
            candidate = self._candidate(asked)
        except (TrainingError, BundleError) as error:
            row = could_not(row, error)
        else:
            self._progress("judging")
            found = evidence_of(candidate, served, log, split.cut_off)
            row = judged(row, candidate.hash, found, judge(found, self._bounds))
        now = self._clock()
        cpu_s = round(time.process_time() - started, 3)
        return self._decide(state, msgspec.structs.replace(row, cpu_s=cpu_s, timestamp=now, written_at=now))

    def _candidate(self, asked: Asked) -> Bundle:
        """Return the round's candidate, registered; one that a killed process has written is taken as it is."""
        folder = self.folder.candidate
        if _version_in(folder) == asked.named.version:
            candidate = Bundle.load(folder)
        else:
            try:
                candidate = write_candidate(folder, asked, self._progress)
            except CheckpointError:  # damaged, or of another release
                remove_checkpoint(self.folder.training)
                candidate = write_candidate(folder, asked, self._progress)
        self._on_step(Step.TRAINED)
        self._registry.register(folder, self._name)
        self._on_step(Step.REGISTERED)
        return candidate

    def _fallen(self, state: LearnState) -> ModelUpdateRow | None:
        """Return the decision to take the last promotion back, if its live hit rate surely fell."""
        promoted = state.promoted
        if promoted is None or time.monotonic() - self._looked_at < LIVE_EVERY_S:
            return None
        self._looked_at = time.monotonic()
        pointers = self._registry.pointers(self._name)
        if (pointers.current, pointers.previous[-1:]) != (promoted.version, (promoted.before,)):
            return None  # somebody else has moved the pointer, and a rollback would not lead to what was before
        actions = history_actions(action_table(self._job))
        live = read_live(self._job.tables.folder, promoted, actions, milliseconds(self._job.learn.live_window))
        if not fell(live, self._job.learn.live_fall):
            return None
        return rolled_back(self._name, state, promoted, live, self._clock())

    def _decide(self, state: LearnState, row: ModelUpdateRow) -> ModelUpdateRow:
        return self._carry_out(self._keep(msgspec.structs.replace(state, pending=row), Step.DECIDED), row)

    def _carry_out(self, state: LearnState, row: ModelUpdateRow) -> ModelUpdateRow:
        """Move the pointer, write the row, and forget both; what was done before is done again without effect."""
        try:
            self._move(row)
        except (RegistryMoveError, BundleError) as error:
            row = turned_down(row, error)
            self.folder.write(msgspec.structs.replace(state, pending=row))
        self._on_step(Step.MOVED)
        write_update(self._job.tables.folder, row)
        self._on_step(Step.WRITTEN)
        promoted = state.promoted
        if row.decision == "promoted" and row.model_hash is not None:
            promoted = Promoted(
                version=Version(row.model_version, row.model_hash),
                before=Version(row.served_version, row.served_hash),
                at_ms=row.timestamp,
            )
        elif state.plan is None:  # it was to be taken back
            promoted = None
        closed = {"plan": None, "pending": None, "decided": row.decision_number, "promoted": promoted}
        self._keep(msgspec.structs.replace(state, **closed), Step.CLOSED)
        return row

    def _move(self, row: ModelUpdateRow) -> None:
        """Move the pointer as decided, unless it is there already.

        Raises:
            RegistryMoveError: somebody else has moved it.
            BundleError: the version can no longer be served.
        """
        served = Version(row.served_version, row.served_hash)
        if row.decision == "promoted":
            self._registry.promote(self._name, row.model_version, in_place_of=served)
        elif row.decision == "rolled_back" and self._registry.find(self._name, CURRENT) != served:
            self._registry.rollback(self._name, of=Version(row.model_version, str(row.model_hash)))

    def _named(self, plan: Plan) -> Named:
        at = datetime.fromtimestamp(plan.planned_at_ms // 1000, UTC)
        return Named(name=self._name, version=plan.version, created_at=at, source="log")

    @property
    def _pace(self) -> Pace:
        learn = self._job.learn
        return Pace(
            every_ms=milliseconds(learn.every),
            behaviors=learn.behaviors,
            held_out=learn.held_out,
            window_ms=milliseconds(learn.window),
        )

    @property
    def _lessons(self) -> Lessons:
        learn = self._job.learn
        return Lessons(method=learn.method, epochs=learn.epochs, rate=learn.rate)

    @property
    def _bounds(self) -> Bounds:
        learn = self._job.learn
        return Bounds(worse_by=learn.worse_by, least_coverage=learn.least_coverage, slowest=learn.slower_by)


def _version_in(folder: Path) -> str | None:
    """Return the version of the candidate in a folder; None without one, or with a damaged one."""
    try:
        return read_manifest(folder).version
    except BundleError:
        return None

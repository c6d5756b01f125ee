"""The steps of a deployment, each recorded before it is done; see `job/deployment/deploy.py`."""

from contextlib import suppress

from job.cluster import ClusterError, FlinkRest
from job.deployment import tables_owner
from job.deployment.behavior_log import first_offsets, make_ready
from job.deployment.checks import (
    CLUSTER_CHECKS,
    check_application,
    check_given_state,
    check_goes_on,
    check_operators,
    check_slots,
    try_client,
)
from job.deployment.comparison import compare
from job.deployment.hand_over import HandOver
from job.deployment.history import (
    DeploymentHistory,
    Shipped,
    Step,
    as_fields,
    legacy_shipped,
    newest_stamped,
    settings_file,
)
from job.deployment.launch import Launch, Numbers
from job.deployment.leftovers import remove_old_files
from job.deployment.restore_point import Folders, RestorePoint, RestorePoints
from job.deployment.rollback import check_bundles
from job.deployment.shipping import pack
from job.deployment.slots import requested_slots
from job.deployment.steps import ENDED, Deployment, DeployRequest
from job.deployment.submission import DeployError, try_connection
from job.kafka.published import make_topics_ready
from job.settings.given import SettingsError
from job.settings.planned_job import JobPlan, PlannedJob, renumbered
from job.topology.served_models import pinned
from model.errors import RecloopError
from model.files import sync


class Transaction:
    """A deployment whose locks are held.

    Args:
        request: the requested deployment; its settings are resolved.
        rest: the cluster.
        lock: the descriptor of the deployment's lock.
    """

    def __init__(self, request: DeployRequest, rest: FlinkRest, lock: int) -> None:
        self._request = request
        self._rest = rest
        self._settings = request.settings
        self._step = request.on_step
        self._step("locked")
        self._history = DeploymentHistory(request.target.folder, request.settings.job_name)
        self._tables = request.settings.tables.folder
        self._has_tables = (self._tables / tables_owner.LOCK).exists()
        self._claims = tables_owner.claims(self._tables) if self._has_tables else []
        self._named = [job for job in rest.jobs() if job.name == request.settings.job_name]
        self._running = [job for job in self._named if job.state not in ENDED]
        self._folders = Folders.of(rest.configuration(), request.target.checkpoints)
        self._before = self._last_shipped()
        self._which = self._next_number()
        self._launch = Launch(request, rest, lock, self._history, has_tables=self._has_tables)

    def run(self) -> Deployment:
        """Run all steps and return the deployed job.

        Raises:
            RecloopError: the first step that failed; before the step `stopping` nothing was changed, afterwards the
                text says whether the old job was put back.
        """
        request = self._request
        if request.fresh and request.start_from is not None:
            msg = "--fresh begins with empty state and --from goes on from one: give one of them"
            raise DeployError(msg)
        start_from = request.start_from and check_given_state(request.start_from, is_local=request.is_local)
        plan = self._plan(start_from, self._check(start_from))
        self._step("checked")
        shipped, code = self._ship(plan)
        if self._running:
            request.on_progress("trying whether the cluster is reached, and the job can be declared")
            if not request.is_local:
                try_connection(request.target)
            declared = try_client(request.target, shipped)
            kept: tuple[str, ...] = ()
            if not request.fresh and request.earlier is None:  # an earlier deployment's state has its own operators
                kept = check_operators(declared, [self._rest.job(job.job_id) for job in self._running])
            self._compare(code, kept)
        self._write(Step.BEGUN, **as_fields(shipped))
        self._step("begun")
        back = self._end_running(start_from)
        self._step("ended")
        try:
            state = None if request.fresh else start_from or self._state()
            again_of = None if request.earlier is None else request.earlier.original
            job_id = self._launch.submit(self._which, shipped, state, again_of)
        except (RecloopError, OSError) as error:
            raise self._rolled_back(str(error), back.uri if back else None) from error
        remove_old_files(request.target.folder)
        replaced = self._running[0].job_id if self._running else None
        return Deployment(job_id, code, state, replaced, shipped.settings)

    def _check(self, given: str | None) -> PlannedJob | None:
        """Check all that can be known while the old job runs; return the deployment that the new one goes on from."""
        request, settings = self._request, self._settings
        if self._has_tables:
            tables_owner.check_free(self._tables, self._launch.claim(self._which, ""), take_over=request.take_over)
        if request.target.application is None:
            for check in CLUSTER_CHECKS:
                check(self._rest, settings)
        else:
            check_application(settings)
        before = None if request.fresh else self._job_before(given)
        replaced = [self._rest.job(job.job_id) for job in self._running]
        if request.target.application is None:
            check_slots(self._rest, settings, replaced)
        if not request.fresh:
            check_goes_on(settings, before.settings if before else None, replaced if given is None else ())
        return before

    def _plan(self, given: str | None, before: PlannedJob | None) -> JobPlan:
        """Make log and topics ready, and return all that the job needs besides its settings."""
        request, settings = self._request, self._settings
        begins = request.fresh or (given is None and not self._running and self._state() is None)
        bundle_hashes, slots = pinned(settings), requested_slots(settings, self._rest)
        make_ready(settings)
        for topic in make_topics_ready(settings):
            request.on_progress(f"made the topic {topic}")
        offsets: tuple[int, ...] = ()
        if begins:
            offsets = first_offsets(settings)
        elif before is not None and before.settings.log.topic == settings.log.topic:
            # Those of the deployment it goes on from, for partitions that its job has not found yet.
            offsets = before.plan.start_offsets
        if begins and (self._claims or self._history.submitted) and not request.fresh:
            self._which = Numbers(self._which.number, self._which.generation + 1)
        return JobPlan(
            number=self._which.number,
            generation=self._which.generation,
            start_offsets=offsets,
            bundle_hashes=bundle_hashes,
            slots=slots,
        )

    def _job_before(self, given: str | None) -> PlannedJob | None:
        """Return the deployment whose state the new one goes on from; None if it is unknown."""
        if given is None:
            return PlannedJob.of_file(self._before.settings) if self._before else None
        made_by = self._history.of_state(given)
        return PlannedJob.of_file(made_by.shipped.settings) if made_by and made_by.shipped.settings.is_file() else None

    def _ship(self, plan: JobPlan) -> tuple[Shipped, str]:
        """Write code and settings as files, and return them with the code's name."""
        request = self._request
        if request.earlier is not None:
            check_bundles(request.earlier, plan.bundle_hashes)
            return self._shipped_again(request.earlier.shipped), request.earlier.shipped.archive.stem
        request.on_progress("packing the code")
        shipment = pack(request.target.folder / "code", request.code)
        file = settings_file(request.target.folder, self._settings.job_name, self._which.number)
        PlannedJob(self._settings, plan).to_file(file)
        for written in (file, shipment.archive, shipment.entry):
            sync(written)
        self._step("packed")
        return Shipped(file, shipment.archive, shipment.entry), shipment.name

    def _compare(self, code: str, operators: tuple[str, ...]) -> None:
        """Report what changes against the running job, as far as its settings can be read here."""
        if self._before is None:
            return
        with suppress(SettingsError):  # those of a release with other settings
            self._request.on_comparison(compare(self._running[0].job_id, self._before, self._settings, code, operators))

    def _end_running(self, start_from: str | None) -> RestorePoint | None:
        """End the old job with its application's cluster, and return the state to go back to; None if it had none.

        Raises:
            DeployError: the job was not ended, or its state not found; nothing may be put back then.
        """
        if not self._running:
            return None
        try:
            self._hand_over(start_from)
            # An application's REST interface ends with its job, at no certain moment.
            self._request.target.end_cluster()
            return self._points().newest()
        except ClusterError as error:
            saved = [each.uri for each in self._history.savepoints if each.job_id == self._running[0].job_id]
            lost = f"nothing is lost{f' (its savepoint is {saved[-1]})' if saved else ''}: {self._request.retry}"
            msg = f"ending the old job went wrong: {error}\nIt is written down what was done, and {lost}"
            raise DeployError(msg) from error

    def _hand_over(self, start_from: str | None) -> None:
        """End the old job, and any others of its name, which somebody else must have left."""
        points = self._points()
        hand_over = HandOver(
            rest=self._rest,
            folders=self._folders,
            newest=lambda: self._points().newest(),
            written=self._write_savepoint,
            on_progress=self._request.on_progress,
            savepoint_s=self._request.savepoint_s,
            is_needed=start_from is None and points.ran_before() is not None,
        )
        for place, job in enumerate(self._running):
            self._write(Step.STOPPING, job_id=job.job_id)
            self._step("stopping")
            if place or self._request.fresh:
                hand_over.cancel(job)
            else:
                hand_over.stop(job)

    def _write_savepoint(self, job_id: str, uri: str) -> None:
        self._write(Step.SAVEPOINT, job_id=job_id, uri=uri)
        self._step("saved")

    def _points(self) -> RestorePoints:
        """Return all that is known of the job's state now; the cluster is read again."""
        named = [job for job in self._rest.jobs() if job.name == self._settings.job_name]
        # Claims count only if the history is lost; otherwise the history defines the jobs that count.
        mine = [each for each in self._claims if each.job_name == self._settings.job_name]
        highest = max((each.generation for each in mine), default=0)
        others = [] if self._history.submitted else [each.job_id for each in mine if each.generation == highest]
        return RestorePoints(self._rest, self._history, self._folders, named, others, is_local=self._request.is_local)

    def _state(self) -> str | None:
        """Return the URI of the state to go on from; None if the job never had any.

        Raises:
            DeployError: the job ran before, and no state of it is found.
        """
        points = self._points()
        if (newest := points.newest()) is not None:
            return newest.uri
        if (ran := points.ran_before()) is not None:
            msg = (
                f"this job ran before ({ran}), and no state of it is found: --from URI (a savepoint or checkpoint), "
                "or --fresh to begin anew"
            )
            raise DeployError(msg)
        return None

    def _rolled_back(self, why: str, state: str | None) -> DeployError:
        """Put the old job back if this deployment ended one, and return the error to raise."""
        retry = f"When that is mended: {self._request.retry}"
        if not self._running:
            return DeployError(f"{why}\nNothing runs now that did not before. {retry}")
        kept = f"its state is {state}" if state else "it had no state yet"
        if self._before is None or not self._before.is_there:
            lost = "cannot be put back by itself, for its code and settings are not here"
            return DeployError(f"{why}\nThe job before was ended and {lost}; {kept}. {retry}")
        self._request.on_progress("putting the old job back")
        try:
            job_id = self._put_back(self._before, state)
        except (RecloopError, OSError) as error:
            again = f"The job before was ended, and did not come up again either ({error}); {kept}"
            return DeployError(f"{why}\n{again}. {retry}")
        return DeployError(f"{why}\nThe old code and settings go on as job {job_id}; {kept}. {retry}")

    def _put_back(self, before: Shipped, state: str | None) -> str:
        """Submit the old code and settings as a deployment of its own, and return the job's id."""
        newest = self._history.newest
        self._which = Numbers(self._which.number + 1, newest.generation if newest else 0)
        shipped, original = self._shipped_again(before), newest.original if newest else None
        return self._launch.submit(self._which, shipped, state, original, self._request.target.before)

    def _shipped_again(self, before: Shipped) -> Shipped:
        """Write the settings of an earlier deployment with the numbers of this one, and return its files."""
        file = settings_file(self._request.target.folder, self._settings.job_name, self._which.number)
        file.write_bytes(renumbered(before.settings, **self._which._asdict()))
        sync(file)
        return Shipped(file, before.archive, before.entry)

    def _last_shipped(self) -> Shipped | None:
        if (newest := self._history.newest) is not None:
            # A job that was deployed from elsewhere has code that is not known here.
            is_known = not self._running or newest.job_id in {job.job_id for job in self._running}
            return newest.shipped if is_known else None
        folder, name = self._request.target.folder, self._settings.job_name
        if (shipped := legacy_shipped(folder, name)) is not None:
            return shipped
        file = newest_stamped(folder, name)
        return None if file is None else Shipped(file, folder / "none", folder / "none")

    def _next_number(self) -> Numbers:
        number, generation = tables_owner.highest(self._tables) if self._has_tables else (0, 0)
        newest = self._history.newest
        if self._request.fresh:
            generation = max(generation, self._history.highest_generation) + 1
        elif newest is not None:
            generation = max(generation, newest.generation)
        return Numbers(max(number, self._history.highest_number) + 1, generation)

    def _write(self, step: Step, **fields: object) -> None:
        self._history.write(step, self._which.number, self._which.generation, **fields)

"""The runs of a drill: the control, and runs in which one fault after the other comes in the middle of work."""

import shutil
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from job.cluster import RestError
from job.cluster.running import Progress
from job.drills.collect import IDLE_MS, caught_up_ms, count_reprocessed, with_made_again
from job.drills.errors import DrillError
from job.drills.evidence import CompletedCheckpoint, Footprint, Output, Recovery, Restore
from job.drills.faults import Fault, Injected
from job.drills.feeder import Fed
from job.drills.footprint import footprint
from job.drills.live import cause_of_failure, feed_at_once, live_site, settle, wait_for_moment
from job.drills.recovery_judges import growth
from job.drills.site import Needs, Setup, Site, now_ms
from job.drills.surroundings import brokers_of
from job.drills.uncommitted import uncommitted_behaviors
from job.drills.watcher import Sample, outage
from job.explain.inputs import Deployments
from job.tables.compaction import Compactor, Policy
from model.waiting import wait_until

_LEVEL_S = 60.0
_AT_REST_S = 20.0
_POLL_S = 0.2
_COMPACTION = Policy(max_small_files=8)


@dataclass(frozen=True, slots=True)
class FaultRun:
    """A fault in a run, and all that was seen of it.

    Attributes:
        fault: the fault.
        injected: its injection.
        output: the tables after it, from the beginning of the run.
        ends: the end of the log that they are of.
        recovery: the job's recovery.
        fed: the growth of the log in the fault's segment.
        samples: the job's state meanwhile.
    """

    fault: Fault
    injected: Injected
    output: Output
    ends: tuple[int, ...]
    recovery: Recovery
    fed: Sequence[Fed]
    samples: Sequence[Sample]


def run_control(setup: Setup, folder: Path, report: Progress) -> Output:
    """Run the job over the whole log without a fault; all other outputs are compared with this one.

    Raises:
        DrillError: the job did not get through the log even without a fault.
    """
    folder.mkdir(parents=True)
    with live_site(setup, folder, Needs.PLAIN, report) as site:
        feed_at_once(site, range(len(setup.log.ends)))
        if not settle(site):
            msg = f"the control run came to a halt{cause_of_failure(site)}: look at {site.cluster.layout.logs}"
            raise DrillError(msg)
        output = site.read_output()
    _drop_cluster(folder)
    return output


def run_faults(
    setup: Setup, folder: Path, faults: Sequence[tuple[Fault, int]], report: Progress
) -> Generator[FaultRun, None, None]:
    """Run the job while the same log grows little by little, and inject one fault in the middle of each segment.

    A job that does not recover is no error: the content of its tables is judged. Whoever finds a fault that it did not
    recover from closes the iterator: the job proves nothing about the faults after it.

    Args:
        setup: what all runs share.
        folder: the folder of the run.
        faults: each with the number of its segment, which rise by one; the log before the first is appended at once.
        report: called at each step.

    Raises:
        DrillError: there was no moment to inject a fault, or the log did not become the control's.
    """
    folder.mkdir(parents=True)
    with live_site(setup, folder, faults[0][0].needs, report) as site:
        feed_at_once(site, range(faults[0][1]))
        for fault, segment in faults:
            yield _run_fault(site, fault, segment)
            Compactor(site.tables, _COMPACTION).run_once(int(time.time() * 1000))
        if not site.feeder.has_same_records():
            msg = f"the log of {folder} is not the control's: something else wrote to it"
            raise DrillError(msg)
    _drop_cluster(folder)


def _run_fault(site: Site, fault: Fault, segment: int) -> FaultRun:
    site.segment = segment
    fault.prepare(site)
    fed_before, sampled_before = len(site.feeder.fed), len(site.watcher.samples)
    before = footprint(site.cluster.layout)
    site.feeder.begin(segment, fault.slower)
    wait_for_moment(site, partial(fault.is_moment, site))
    known, _ = site.checkpoints()  # nothing slow may come between the moment and the fault
    site.report(fault.doc)
    injected = fault.inject(site)
    evidence = _effect(site, fault, injected)
    is_back = _recover(site, fault, injected)
    site.feeder.hurry()
    site.feeder.finish()
    after = _at_rest(site, fault, before) if is_back and settle(site) else None
    fed, samples = site.feeder.fed[fed_before:], site.watcher.samples[sampled_before:]
    output = _output(site, fault, injected)
    detected_ms, restarted_ms = outage(samples, injected.at_ms)
    now_known, restored = _checkpoints(site)
    recovery = Recovery(
        injected_ms=injected.at_ms,
        detected_ms=detected_ms,
        restarted_ms=restarted_ms,
        caught_up_ms=caught_up_ms(fed, output, restarted_ms if fault.expects.restarts else fault.ended_ms(injected)),
        checkpoints=tuple(dict.fromkeys((*known, *now_known))),
        restored=restored,
        reprocessed=count_reprocessed(site.tables, output, injected.at_ms, site.feeder.log.number_of),
        evidence=evidence,
        spoiled=frozenset(injected.spoiled),
        before=before,
        after=after,
    )
    return FaultRun(fault, injected, output, site.setup.log.ends[segment], recovery, fed, samples)


def _output(site: Site, fault: Fault, injected: Injected) -> Output:
    """Return the tables after a fault, with all that its kind needs to be judged."""
    output = site.read_output().by_one_clock(injected.at_ms, now_ms())
    if fault.expects.scores:
        return output
    deployments = Deployments(site.cluster.directory / "deployments", site.settings.job_name)
    return with_made_again(output, site.tables, deployments)


def _effect(site: Site, fault: Fault, injected: Injected) -> str | None:
    """Wait for the fault's effect, and then take away what it left in the way."""
    site.report(f"{fault.name}: waiting for its effect")
    evidence = wait_until(partial(fault.evidence, site, injected), timeout_s=fault.bites_within_s, poll_s=_POLL_S)
    fault.mend(site)
    return evidence


def _recover(site: Site, fault: Fault, injected: Injected) -> bool:
    """Wait until all tasks run, a checkpoint is complete, and records are processed as they come."""
    site.report(f"{fault.name}: waiting for the job")

    def is_up() -> bool:
        _, restarted_ms = site.watcher.outage(injected.at_ms)
        return restarted_ms is not None or not fault.expects.restarts

    if not site.wait(is_up, timeout_s=fault.mends_within_s):
        return False
    _, restarted_ms = site.watcher.outage(injected.at_ms)
    since_ms = restarted_ms or injected.at_ms
    site.wait(partial(_is_level, site, since_ms), timeout_s=_LEVEL_S)
    is_over = site.wait(partial(fault.is_over, site), timeout_s=fault.mends_within_s)
    return is_over and site.completes_another(timeout_s=fault.mends_within_s)


def _is_level(site: Site, since_ms: int) -> bool:
    """Return whether a record was processed as soon as it was appended, after a moment; or no more are appended."""
    if site.feeder.appended >= sum(site.setup.log.ends[site.segment]):
        return True
    for row in uncommitted_behaviors(site.tables):
        if row.written_at < since_ms:
            continue
        old = next((fed for fed in reversed(site.feeder.fed) if fed.at_ms <= row.written_at - IDLE_MS), None)
        number = site.feeder.log.number_of(row.log_partition, row.log_offset)
        if old is not None and number >= old.ends[row.log_partition]:
            return True
    return False


def _at_rest(site: Site, fault: Fault, before: Footprint) -> Footprint:
    """Return the cluster's footprint once it is what it was; or what it is after a while."""
    found = before

    def is_as_before() -> bool:
        nonlocal found
        found = footprint(site.cluster.layout)
        return not fault.expects.stands or not tuple(growth(before, found))

    site.wait(is_as_before, timeout_s=_AT_REST_S)
    return found


def _checkpoints(site: Site) -> tuple[tuple[CompletedCheckpoint, ...], Restore | None]:
    try:
        return site.checkpoints()
    except RestError:  # of a job that did not come back
        return (), None


def _drop_cluster(folder: Path) -> None:
    """Remove checkpoints, code and topics, which nothing reads once the cluster is stopped; its logs stay."""
    for name in ("checkpoints", "savepoints", "deployments", "tmp", "lib", "plugins"):
        shutil.rmtree(folder / "cluster" / name, ignore_errors=True)
    for data in brokers_of(folder).glob("*/data"):
        shutil.rmtree(data, ignore_errors=True)

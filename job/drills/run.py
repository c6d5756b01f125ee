"""The two kinds of runs in a drill: the control, and a run with a fault in the middle of work."""

import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from job.cluster import RestError
from job.cluster.running import Progress
from job.drills.collect import caught_up_ms, count_reprocessed, read_checkpoints, read_output
from job.drills.errors import DrillError
from job.drills.evidence import Output, Recovery
from job.drills.faults import Fault, Injected
from job.drills.feeder import Feeder, copy_log, same_bytes
from job.drills.live import Setup, live_job, settle, wait_for_moment
from job.drills.watcher import Watcher, outage


@dataclass(frozen=True, slots=True)
class FaultRun:
    """A run with a fault: the fault, the run's output, and its recovery."""

    fault: Fault
    injected: Injected
    output: Output
    recovery: Recovery


def run_control(setup: Setup, folder: Path, report: Progress) -> Output:
    """Run the job over the whole log without a fault; all other outputs are compared with this one.

    Raises:
        DrillError: the job did not get through the log even without a fault.
    """
    folder.mkdir(parents=True)
    copy_log(setup.log, folder / "log")
    with live_job(setup, folder, report) as live:
        if not settle(live, setup.records):
            cause = ""
            with suppress(RestError):
                if failures := live.job.rest.exceptions(live.job.job_id):
                    cause = f" ({failures[0].root_cause})"
            msg = f"the control run came to a halt{cause}: look at {live.cluster.layout.logs}"
            raise DrillError(msg)
        output = read_output(live.job.log, live.job.tables)
    _drop_cluster(folder)
    return output


def run_fault(setup: Setup, folder: Path, fault: Fault, report: Progress) -> FaultRun:
    """Run the job while the same log grows little by little, and inject the fault in the middle.

    A job that does not recover is no error: the content of its tables is judged.

    Raises:
        DrillError: there was no moment to inject the fault, or the log did not become the control's.
    """
    folder.mkdir(parents=True)
    with (
        Feeder(setup.log, folder / "log", setup.scale.rate) as feeder,
        live_job(setup, folder, report) as live,
        Watcher(live.cluster.rest_url, live.job.job_id) as watcher,
    ):
        feeder.start()
        wait_for_moment(live)
        report(fault.doc)
        injected = fault.inject(live.cluster, live.job)
        settle(live, setup.records)
        feeder.finish()
        samples = list(watcher.samples)
        output = read_output(live.job.log, live.job.tables)
        checkpoints, restored = read_checkpoints(live.job.rest, live.job.job_id)
    if not same_bytes(setup.log, folder / "log"):
        msg = f"{folder / 'log'} is not the control's log: its feeder stopped early"
        raise DrillError(msg)
    detected_ms, restarted_ms = outage(samples, injected.at_ms)
    since_ms = restarted_ms if fault.expects.restarts else injected.at_ms
    recovery = Recovery(
        injected_ms=injected.at_ms,
        detected_ms=detected_ms,
        restarted_ms=restarted_ms,
        caught_up_ms=caught_up_ms(feeder.fed, output, since_ms),
        checkpoints=checkpoints,
        restored=restored,
        reprocessed=count_reprocessed(folder / "tables", output, injected.at_ms),
    )
    _drop_cluster(folder)
    return FaultRun(fault, injected, output, recovery)


def _drop_cluster(folder: Path) -> None:
    """Remove checkpoints and code, which nothing reads once the cluster is stopped; its logs stay."""
    for name in ("checkpoints", "savepoints", "deployments", "tmp", "lib", "plugins"):
        shutil.rmtree(folder / "cluster" / name, ignore_errors=True)

"""The judgement on a run of a fault, from all that was seen of it."""

from job.drills.evidence import Output
from job.drills.run import FaultRun
from job.drills.site import Setup
from job.drills.timeline import timeline
from job.drills.verdict import Case, Judged, judge


def judge_run(setup: Setup, control: Output, run: FaultRun, segment: int) -> Judged:
    """Judge a fault in a segment of the log by the control's rows of the same records."""
    starts = setup.log.start(segment)
    case = Case(
        name=run.fault.name,
        description=run.injected.description,
        output=run.output,
        control=control.up_to(run.ends),
        planted=setup.log.planted,
        recovery=run.recovery,
        expected=run.fault.expects,
        moments=timeline(run.output, run.fed, run.samples, starts, run.recovery.injected_ms),
    )
    return judge(case)

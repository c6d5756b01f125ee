"""The alerts: the rule of each, and what its entry in the runbook says."""

from dataclasses import dataclass
from typing import Literal

from job.watching.flink_series import FlinkSeries
from job.watching.promql import highest, quantile, rate, ratio
from udfs.elements import FallbackReason
from udfs.flink.metrics import Metric

RUNBOOK = "docs/runbook.md"
_BY_SETTING = "|".join((FallbackReason.SHED, FallbackReason.COALESCED))
"""The reasons for fallback lists that a setting asks for."""
_BY_FAULT = f'reason!~"{_BY_SETTING}"'
_RECORDS = " + ".join(rate(each, "5m") for each in (Metric.BEHAVIORS_APPLIED, Metric.DUPLICATES, Metric.DEAD_LETTERS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A rule, and the advice to who is called by it.

    Attributes:
        name: its name, which is its heading in the runbook.
        severity: "page": somebody has to act now; "ticket": in working hours.
        condition: PromQL; a series of it that lasts for `lasts` fires.
        lasts: how long the condition has to hold.
        summary: the fault in a sentence, which may name the series' labels.
        seen: what the operator sees.
        does: what the job does by itself.
        todo: what to do.
    """

    name: str
    severity: Literal["page", "ticket"]
    condition: str
    lasts: str
    summary: str
    seen: str
    does: str
    todo: str


ALERTS = (
    Alert(
        name="RecloopJobMissing",
        severity="page",
        condition=f"{FlinkSeries.JOBS} == 0",
        lasts="2m",
        summary="The cluster runs no job.",
        seen="The cluster runs, and no job on it; lists stay as they are, behaviours gather in the log.",
        does="Nothing. A job that ended with an error that a restart cannot mend stays ended, and a JobManager that "
        "was started again has forgotten its jobs. The retained checkpoints stay.",
        todo="`recloop status` names the last failure. Mend it, then `recloop deploy`: it goes on from the newest "
        "checkpoint.",
    ),
    Alert(
        name="RecloopMetricsMissing",
        severity="page",
        condition=f"absent({FlinkSeries.JOBS})",
        lasts="2m",
        summary="No JobManager reports metrics.",
        seen="Every graph ends at the same time.",
        does="The supervisor starts a dead process again, at once. After 20 s without a push the gateway forgets it.",
        todo="`recloop cluster status`; `recloop cluster start` where none runs. If it runs, see whether Prometheus "
        "reaches the address that `recloop cluster status` prints, and read `metrics-gateway.out` in its logs.",
    ),
    Alert(
        name="RecloopListsStale",
        severity="page",
        condition=f"{quantile(0.95, Metric.FRESHNESS_MS, '1m')} > 2000",
        lasts="30s",
        summary="{{ $labels.job_name }}: of the lists of the last minute, 5 % came later than 2 s after the behaviour.",
        seen="Freshness p95 above 2 s: after a restart, under a load that is too high, or with a slow disk.",
        does="It works off what is behind, with larger batches; nothing is dropped. After a restart freshness is back "
        "when the log is read up.",
        todo="See which of these it is: restarts (`recloop status`), lag that rises (more TaskManagers, see "
        "[performance](performance.md)), or a task that is busy all the time (the graph Busy).",
    ),
    Alert(
        name="RecloopBehindTheLog",
        severity="page",
        condition=f"{highest(Metric.LOG_LAG_MS.series, by=['partition'])} > 30000",
        lasts="2m",
        summary="{{ $labels.job_name }}: partition {{ $labels.partition }} of the log is read half a minute late or "
        "more.",
        seen="Lag rises: more behaviours come than the job takes, or it stands still.",
        does="Nothing is dropped; with `scoring.shed_after_ms` old behaviours get fallback lists, which take no model.",
        todo="`recloop status`. A rate of zero: see the TaskManagers' logs. Else more TaskManagers and "
        "`flink.parallelism`, or a faster model: [performance](performance.md).",
    ),
    Alert(
        name="RecloopLogSilent",
        severity="page",
        condition=f"{highest(Metric.LOG_SILENT_MS.series)} > 30000",
        lasts="1m",
        summary="{{ $labels.job_name }}: the log's brokers have not answered for more than 30 s.",
        seen="No new lists; `recloop status` says since when the log is silent.",
        does="It asks again until they answer, and goes on where it was.",
        todo="Look at the brokers, the network, and whether the job's login still holds: `recloop kafka lag`.",
    ),
    Alert(
        name="RecloopListsWithoutScores",
        severity="ticket",
        condition=f"{ratio(Metric.FALLBACKS, Metric.LISTS, '2m', where=_BY_FAULT, whole_where='')} > 0.1",
        lasts="1m",
        summary="{{ $labels.job_name }}: over 10 % of the lists are made without scores, by a fault of the model.",
        seen="Fallback lists, whose reason the dashboard and `recloop status` name.",
        does="Every behaviour gets a list within the deadline. A model that is late again and again is left alone for "
        "seconds; one that hangs for 30 s has its worker ended, and Flink restores the job.",
        todo="By the reason: [the model](failures.md#the-model). A version that was promoted just now: "
        "`recloop models rollback NAME`.",
    ),
    Alert(
        name="RecloopModelDoesNotLoad",
        severity="ticket",
        condition=f"sum by (job_name) (increase({Metric.SWAP_FAILURES.series}[15m])) > 0",
        lasts="0s",
        summary="{{ $labels.job_name }}: a promoted model did not load.",
        seen="`recloop status` names the version and the reason.",
        does="The model before stays in service; the new one is tried again after 1 to 30 s.",
        todo="Register the version again, or `recloop models rollback NAME`.",
    ),
    Alert(
        name="RecloopDeadLetters",
        severity="ticket",
        condition=f"{rate(Metric.DEAD_LETTERS, '5m')} / ({_RECORDS}) > 0.01",
        lasts="5m",
        summary="{{ $labels.job_name }}: over 1 % of the log's records are no behaviours.",
        seen="Rows of `dead_letters`, with the reason and the record's bytes.",
        does="It goes on without them; each is kept in `dead_letters`.",
        todo='`recloop sql "select reason, detail, count(*) from dead_letters group by 1, 2 order by 3 desc"`, then '
        "correct the producer: [records](failures.md#records).",
    ),
    Alert(
        name="RecloopOffsetsGone",
        severity="ticket",
        condition=f"sum by (job_name) (increase({Metric.OFFSETS_GONE.series}[15m])) > 0",
        lasts="0s",
        summary="{{ $labels.job_name }}: records were removed from the log before they were read.",
        seen="A dead letter with the reason `offsets_gone` names the offsets. Where Flink's own connector reads a "
        "topic with transactions, their marks are counted too.",
        does="With `log.gone=skip` it steps over them; with `fail` it ends.",
        todo="Have the topic keep records for longer than the job may be down: [the log](failures.md#the-log).",
    ),
    Alert(
        name="RecloopNoCheckpoint",
        severity="page",
        condition=f"sum by (job_name) (increase({FlinkSeries.CHECKPOINTS_COMPLETED}[5m])) == 0",
        lasts="1m",
        summary="{{ $labels.job_name }}: no checkpoint has completed for five minutes.",
        seen="Tables stand still, although lists are made: rows are seen when a checkpoint completes.",
        does="It tries a checkpoint again every few seconds. After a failure it would repeat all since the last one.",
        todo="Look at the free space of the checkpoints' folder, and at the failed checkpoints on Flink's web page: "
        "the subtask that does not answer is the one that hangs.",
    ),
    Alert(
        name="RecloopSlowCheckpoints",
        severity="ticket",
        condition=f"{highest(FlinkSeries.CHECKPOINT_MS)} > 30000",
        lasts="5m",
        summary="{{ $labels.job_name }}: checkpoints take longer than 30 s.",
        seen="Rows of the tables come late, and a restart repeats more.",
        does="The next checkpoint begins when the last one is done.",
        todo="See whether state has grown (the graph State), the disk is slow, or a task is busy all the time (Busy).",
    ),
    Alert(
        name="RecloopRestarts",
        severity="page",
        condition=f"sum by (job_name) (increase({FlinkSeries.RESTARTS}[15m])) > 3",
        lasts="0s",
        summary="{{ $labels.job_name }}: the job was restarted more than three times in 15 minutes.",
        seen="Freshness has a peak at each restart. `recloop status` has the last cause.",
        does="Each time it goes on from the newest checkpoint; it waits longer from restart to restart, up to 5 s.",
        todo="Mend the cause. If it began with a deployment, go back: [deploying](deploying.md).",
    ),
    Alert(
        name="RecloopTaskManagerLost",
        severity="ticket",
        condition=f"max ({FlinkSeries.TASK_MANAGERS}) < max (max_over_time({FlinkSeries.TASK_MANAGERS}[30m]))",
        lasts="2m",
        summary="A TaskManager that was there in the last half hour is gone.",
        seen="Fewer TaskManagers than before; if their slots are lacking, the job waits for them.",
        does="A cluster of `recloop cluster start` starts it again at once, and the job goes on from the checkpoint.",
        todo="`recloop cluster status` and the TaskManager's log; after a wanted decrease the alert ends by itself.",
    ),
)

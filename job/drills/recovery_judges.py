"""The judges of a recovery: which checkpoint it came from, how long it took, and what it left behind.

I6 restored from the newest usable checkpoint, and a new one completed
I7 the fault had an effect; detected, restarted, caught up
I9 nothing is left behind: processes, ports, memory
"""

from collections.abc import Iterator

from job.drills.evidence import CompletedCheckpoint, Expectation, Footprint, Recovery, Restore
from job.drills.findings import Finding

_NO_FAULT = "nothing was broken"
_NO_RESTART = "this fault restarts no task"
_MEMORY_FACTOR, _MEMORY_MB = 1.5, 256.0
"""The growth of memory that is no leak: a JVM's native memory grows for minutes after its start."""


def restored_from_newest(recovery: Recovery | None, expected: Expectation) -> Finding:
    """Judge I6: the job was restored from the newest usable checkpoint, and completed another one since.

    A job that was submitted anew may have found one that completed after Flink was last asked.
    """
    if recovery is None or not expected.restarts:
        return Finding.not_applicable(_NO_FAULT if recovery is None else _NO_RESTART)
    restored = recovery.restored
    if restored is None:
        return Finding.of(["the job was not restored from any checkpoint"])
    broken = []
    if complaint := _not_newest(restored, recovery):
        broken.append(complaint)
    if not any(each.completed_ms > restored.restored_ms for each in recovery.checkpoints):
        broken.append("no checkpoint completed after the restore")
    return Finding.of(broken)


def _not_newest(restored: Restore, recovery: Recovery) -> str | None:
    name = f"{restored.checkpoint_id} in {restored.path}"
    if restored.path in recovery.spoiled:
        return f"restored from {name}, which the fault had made unusable"
    usable = [
        each
        for each in recovery.checkpoints
        if each.completed_ms <= restored.restored_ms and each.path not in recovery.spoiled
    ]
    newest: CompletedCheckpoint | None = max(usable, key=lambda each: each.checkpoint_id, default=None)
    if newest is None:
        return f"restored from {name}; there was no usable one"
    is_newest = (restored.checkpoint_id, restored.path) == (newest.checkpoint_id, newest.path)
    if is_newest or restored.checkpoint_id > newest.checkpoint_id:
        return None
    return f"restored from {name}; the newest usable one was {newest.checkpoint_id} in {newest.path}"


def came_back(recovery: Recovery | None, expected: Expectation) -> Finding:
    """Judge I7: the fault came in the middle of work and had an effect, was detected, and the job caught up.

    A fault before any completed checkpoint, without a visible effect, or after which nothing had to be processed again
    where something has to be, proves nothing and does not count.
    """
    if recovery is None:
        return Finding.not_applicable(_NO_FAULT)
    broken = []
    if expected.restarts:
        moments = {
            "detected": recovery.detected_ms,
            "restarted": recovery.restarted_ms,
            "caught up": recovery.caught_up_ms,
        }
        broken += [f"never {stage}" for stage, moment_ms in moments.items() if moment_ms is None]
        if not any(each.completed_ms < recovery.injected_ms for each in recovery.checkpoints):
            broken.append("does not count: no checkpoint was complete when the fault struck")
    elif recovery.caught_up_ms is None:
        broken.append("never caught up")
    if recovery.evidence is None:
        broken.append("does not count: nothing shows that the fault had an effect")
    if expected.reprocesses and recovery.reprocessed < 1:
        broken.append("does not count: no behaviour had to be processed again")
    return Finding.of(broken)


def nothing_left(recovery: Recovery | None, expected: Expectation) -> Finding:
    """Judge I9: after the recovery the cluster has the processes, ports and memory that it had before."""
    if recovery is None:
        return Finding.not_applicable(_NO_FAULT)
    if not expected.stands:
        return Finding.not_applicable("this fault changes the number of processes")
    if recovery.before is None or recovery.after is None:
        return Finding.of(["the job did not recover, so that nothing was measured"])
    return Finding.of(growth(recovery.before, recovery.after))


def growth(before: Footprint, after: Footprint) -> Iterator[str]:
    """Yield each difference of two footprints that shows that something was left behind."""
    for kind in sorted(before.processes.keys() | after.processes.keys()):
        had, has = before.processes.get(kind, 0), after.processes.get(kind, 0)
        if had != has:
            yield f"{has} processes {kind} in place of {had}"
    if after.ports > before.ports:
        yield f"{after.ports} ports in place of {before.ports}"
    if after.memory_mb > _MEMORY_FACTOR * before.memory_mb + _MEMORY_MB:
        yield f"{after.memory_mb:,.0f} MiB in place of {before.memory_mb:,.0f}"

"""The collection of a run's evidence: tables by DuckDB, checkpoints by Flink's REST interface."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from job.cluster import FlinkRest
from job.cluster.uris import as_uri
from job.drills.evidence import (
    CompletedCheckpoint,
    Output,
    Repeat,
    Restore,
    SeenBehavior,
    SeenLetter,
)
from job.drills.feeder import Fed
from job.drills.run_log import offset_of
from job.drills.uncommitted import uncommitted_behaviors
from job.explain.all_lists import recomputed_lists
from job.explain.inputs import Deployments
from job.explain.records import ExplainError
from job.explain.same_lists import Offset, SeenList
from job.tables import duck
from job.tables.schema import TABLES
from udfs.publishing.publication import newest_lists

IDLE_MS = 500
"""A job has caught up with its log when records are processed within this time after they were appended."""
_JUDGED = ("user_behavior", "recommendation_lists", "prediction_results", "dead_letters")

_BEHAVIORS = """
    SELECT log_partition, log_offset, user_id, "action", item_id, outcome, user_seq, epoch, written_at
    FROM user_behavior"""
_LISTS = """
    SELECT log_partition, log_offset, user_id, list_version, user_seq, items, scores, reasons, written_at,
           source, fallback_reason, model_version || ' ' || model_hash, epoch FROM """
_PREDICTIONS = """
    SELECT log_partition, log_offset, user_id, user_seq, user_seq, list(item_id ORDER BY rank),
           list(score ORDER BY rank), list('model'), max(written_at),
           'scored', NULL, max(model_version || ' ' || model_hash), max(epoch)
    FROM prediction_results GROUP BY log_partition, log_offset, user_id, user_seq"""
_REPEATS = "SELECT {key} AS k, list(epoch ORDER BY epoch) FROM {table}_all GROUP BY k HAVING count(*) > 1"
_LETTERS = "SELECT log_partition, log_offset, reason, epoch, written_at FROM dead_letters"


def read_output(ends: Mapping[int, int], tables: Path, published: Iterable[bytes] = ()) -> Output:
    """Read all rows that the judges need, as of one moment.

    Args:
        ends: log partition -> number of its records.
        tables: the folder of the tables.
        published: the published lists, as their readers get them.
    """
    keys = {table: " || '/' || ".join(TABLES[table].key) for table in _JUDGED}
    with duck.connect(tables) as connection:

        def rows(sql: str) -> list[Any]:
            return list(duck.run(connection, sql).rows)

        return Output(
            ends=ends,
            behaviors=tuple(SeenBehavior(*row) for row in rows(_BEHAVIORS)),
            lists=tuple(map(_list, rows(_LISTS + "recommendation_lists"))),
            latest=tuple(map(_list, rows(_LISTS + "latest_recommendation_lists"))),
            letters=tuple(SeenLetter(*row) for row in rows(_LETTERS)),
            predictions=tuple(map(_list, rows(_PREDICTIONS))),
            repeats=tuple(
                Repeat(table, str(key), tuple(epochs))
                for table in _JUDGED
                for key, epochs in rows(_REPEATS.format(key=keys[table], table=table))
            ),
            published=newest_lists(published),
        )


def with_made_again(output: Output, tables: Path, deployments: Deployments) -> Output:
    """Return the output with the lists without scores made again: the control has no such rows to compare them to."""
    try:
        made = list(recomputed_lists(tables, deployments, lambda each: each.source != "scored"))
    except ExplainError as error:
        return replace(output, unequal=(str(error),))
    unequal = (
        f"list {each.list_version} of user {each.user_id}: {found}"
        for each, differences in made
        for found in differences
    )
    return replace(output, made_again=len(made), unequal=tuple(unequal))


def read_checkpoints(rest: FlinkRest, job_id: str) -> tuple[tuple[CompletedCheckpoint, ...], Restore | None]:
    """Return the completed checkpoints in Flink's history, and the newest restore."""
    checkpoints = rest.checkpoints(job_id)
    completed = tuple(
        CompletedCheckpoint(each.checkpoint_id, _uri(each.path), each.acknowledged_ms or each.completed_ms)
        for each in checkpoints.history
        if each.status == "COMPLETED"
    )
    restored = checkpoints.newest.restored
    if restored is None:
        return completed, None
    return completed, Restore(restored.checkpoint_id, _uri(restored.path), restored.at_ms)


def _uri(path: str | None) -> str:
    """Return the location of a checkpoint in one form, as Flink has several for a file; empty if it names none."""
    return as_uri(path) if path else ""


def count_reprocessed(
    tables: Path, output: Output, injected_ms: int, number_of: Callable[[int, int], int] = offset_of
) -> int:
    """Return how many behaviours were processed before a fault, and committed only by a later attempt.

    The time of writing distinguishes the attempts, as a restore from the same checkpoint has the same epoch.

    Args:
        tables: the folder of the tables.
        output: their rows that count, by the numbers of their records.
        injected_ms: the moment of the fault, epoch ms.
        number_of: gives the number of the record at an offset of the log.
    """
    hidden = uncommitted_behaviors(tables)
    before = {
        (row.log_partition, number_of(row.log_partition, row.log_offset))
        for row in hidden
        if row.written_at < injected_ms
    }
    return sum(row.written_at > injected_ms and row.at in before for row in output.behaviors)


def caught_up_ms(fed: Sequence[Fed], output: Output, since_ms: int | None) -> int | None:
    """Return when the job had caught up with its log after a moment, such as a restart, epoch ms.

    That is the time at which a growth of the log since then was first processed within `IDLE_MS` of being appended; if
    there is none, the time at which the last record was processed. None without the moment.
    """
    if since_ms is None:
        return None
    done = [(at, end) for at, end in _done_by_growth(fed, output) if end]  # 0: nothing was processed at all
    level = (end for at, end in done if at >= since_ms and end - at <= IDLE_MS)
    last = max((end for _, end in done), default=None)
    return next(level, None if last is None else max(last, since_ms))


def _done_by_growth(fed: Sequence[Fed], output: Output) -> list[tuple[int, int]]:
    """Return for each growth of the log its time, and the time at which all records up to there were processed."""
    written: dict[Offset, int] = {row.at: row.written_at for row in output.letters}
    written |= {row.at: row.written_at for row in output.behaviors}
    written |= {row.at: row.written_at for row in output.lists}
    ends = dict.fromkeys(output.ends, 0)
    latest, done = 0, []
    for growth in fed:
        for partition, end in enumerate(growth.ends):
            latest = max([latest, *(written.get((partition, n), 0) for n in range(ends[partition], end))])
            ends[partition] = end
        done.append((growth.at_ms, latest))
    return done


def _list(row: Sequence[Any]) -> SeenList:
    partition, offset, user, version, seq, items, scores, reasons, written_at, source, why, model, epoch = row
    return SeenList(
        partition=partition,
        offset=offset,
        user_id=user,
        list_version=version,
        user_seq=seq,
        items=tuple(items),
        scores=tuple(scores),
        reasons=tuple(reasons),
        written_at=written_at,
        source=source,
        fallback_reason=why,
        model=model,
        epoch=epoch,
    )

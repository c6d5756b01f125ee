"""The topology: the path of an event from the behaviour log to the output tables."""

from pyflink.common import Time, Types
from pyflink.datastream import AsyncDataStream, DataStream, StreamExecutionEnvironment

from job.settings.job_settings import JobSettings
from job.settings.planned_job import JobPlan
from job.topology.native_kafka import publish_lists
from job.topology.operators import Operators
from job.topology.placement import kept_apart, reserve_slots
from job.topology.sinks import append_lists, publish, write_table
from job.topology.sources import log_input
from job.topology.streams import element_type, keyed, side_output, step, use_process_mode, use_thread_mode
from udfs.flink.tags import (
    ATTEMPTS,
    DEAD_LETTERS,
    FEEDBACK,
    MODEL_SWAPS,
    PREDICTION_RESULTS,
    TREND_PARTS,
    TREND_SNAPSHOTS,
    USER_BEHAVIOR,
)


def build(env: StreamExecutionEnvironment, settings: JobSettings, plan: JobPlan) -> None:
    """Declare the job; `settings` are resolved, `plan` holds what its deployment found out."""
    operators = Operators(settings, plan)
    tables = settings.tables.folder

    reserve_slots(env, settings, plan.slots)
    use_thread_mode(env)
    # Emits Row(log partition's key, its number or records of it).
    read = log_input(env, operators, settings, plan)

    # Emits Row(bucket's key, PolledElement): all behaviours that one poll found for one user bucket.
    polled = step(keyed(read).process(operators.poll_log, element_type()), "poll-log")
    dead_letters = side_output(polled, DEAD_LETTERS)
    write_table(dead_letters, "dead_letters", tables)
    write_table(side_output(polled, ATTEMPTS), "attempts", tables)

    # Emits Row(bucket's key, TrackedElement): each behaviour with its user's profile as it stood right after it.
    tracked = step(keyed(polled).process(operators.track_users, element_type()), "track-users")
    write_table(side_output(tracked, USER_BEHAVIOR), "user_behavior", tables)

    # Emits Row(bucket's key, TrendSnapshot): what is trending, to every bucket, every few seconds.
    parts = keyed(side_output(tracked, TREND_PARTS))
    trends = step(parts.process(operators.find_trends, element_type()), "find-trends").set_parallelism(1)
    write_table(side_output(trends, TREND_SNAPSHOTS), "trend_snapshots", tables)

    # Emits Row(bucket's key, ScoredElement): the same behaviours, in the same order, with candidates or without.
    use_process_mode(env)
    # No Flink timeout: it would start a thread for each record. The function has its own deadline.
    stream = AsyncDataStream.ordered_wait(
        keyed(tracked), operators.score_candidates, Time.seconds(0), operators.in_flight, element_type()
    )
    scored = kept_apart(step(stream, "score-candidates").set_parallelism(settings.scorers), plan.slots)

    # Emits rows of recommendation_lists: one new list per behaviour.
    use_thread_mode(env)
    lists = step(keyed(scored.union(trends)).process(operators.update_lists, Types.STRING()), "update-lists")
    write_table(lists, "recommendation_lists", tables)
    write_table(side_output(lists, PREDICTION_RESULTS), "prediction_results", tables)
    write_table(side_output(lists, MODEL_SWAPS), "model_swaps", tables)

    # Emits rows of feedback_metrics: one a minute.
    minutes = keyed(side_output(lists, FEEDBACK))
    feedback = step(minutes.process(operators.measure_feedback, Types.STRING()), "measure-feedback")
    feedback.set_parallelism(1)
    write_table(feedback, "feedback_metrics", tables)

    # Publishes the same rows as records of Kafka topics, if the settings name some.
    _publish_topics(env, operators, lists=lists, dead_letters=dead_letters, settings=settings)


def _publish_topics(
    env: StreamExecutionEnvironment,
    operators: Operators,
    *,
    lists: DataStream,
    dead_letters: DataStream,
    settings: JobSettings,
) -> None:
    """Publish lists and dead letters to their topics."""
    if settings.publishes_natively:
        publish_lists(env, lists, settings)
    append_lists(lists, operators.write_lists)
    use_process_mode(env)
    publish(lists, operators.publish_lists, operators.publishing, "publish-lists")
    publish(dead_letters, operators.publish_dead_letters, operators.publishing, "publish-dead-letters")
    use_thread_mode(env)

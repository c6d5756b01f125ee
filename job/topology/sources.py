"""The input of poll-log: ticks that make it poll, or the records of Flink's own connector."""

from pyflink.datastream import DataStream, StreamExecutionEnvironment

from job.settings.job_settings import JobSettings
from job.settings.planned_job import JobPlan
from job.topology.native_kafka import topic_records
from job.topology.operators import Operators
from job.topology.streams import element_type, step, ticks


def log_input(
    env: StreamExecutionEnvironment, operators: Operators, settings: JobSettings, plan: JobPlan
) -> DataStream:
    """Return a stream of Row(key of a log partition, bytes): its number, once a second, or with records of it."""
    if settings.reads_natively:
        records = topic_records(env, settings, plan.start_offsets)
        return step(records.process(operators.key_records, element_type()), "key-records")
    partitions = step(ticks(env).process(operators.find_partitions, element_type()), "find-partitions")
    return partitions.set_parallelism(1)

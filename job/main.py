"""The job's entry point: `flink run -py main.py --settings FILE` on a machine that reaches the cluster."""

import argparse
import json
from contextlib import suppress
from pathlib import Path

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment

from job.pipeline import build
from job.settings.job_settings import JobSettings
from job.settings.planned_job import PlannedJob
from job.tables.withdrawn import write_withdrawn

_ANY_NUMBER = str(2**31 - 1)


def flink_settings(settings: JobSettings) -> dict[str, str]:
    """Return the Flink settings that the job sets itself.

    A checkpoint waits until all records are published. If brokers are away for longer than a checkpoint may take, the
    checkpoint fails and the next one begins; by Flink's default the first such failure would restart the job. There are
    one or two timers a key, which need no RocksDB. Checkpoints that a cancelled or failed job can be restored from are
    retained, whatever the cluster's default is.
    """
    flink = settings.flink
    tolerated = "execution.checkpointing.tolerable-failed-checkpoints"
    return {
        "execution.buffer-timeout.interval": f"{flink.buffer_timeout_ms} ms",
        "execution.checkpointing.interval": f"{int(flink.checkpoint_interval.total_seconds() * 1000)} ms",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.num-retained": "3",
        "state.backend.rocksdb.timer-service.factory": "HEAP",
        "python.fn-execution.bundle.time": str(flink.bundle_time_ms),
        "python.fn-execution.bundle.size": str(flink.bundle_size),
        **({tolerated: _ANY_NUMBER} if settings.publish.topics else {}),
    }


def environment(settings: JobSettings) -> StreamExecutionEnvironment:
    """Return Flink's environment for these settings."""
    configuration = Configuration()
    for key, value in flink_settings(settings).items():
        configuration.set_string(key, value)
    env = StreamExecutionEnvironment.get_execution_environment(configuration)
    env.set_parallelism(settings.flink.parallelism)
    env.set_max_parallelism(settings.flink.buckets)
    return env


def main() -> None:
    """Declare the job from the settings file, and submit it to the cluster that Flink's command line names."""
    parser = argparse.ArgumentParser(prog="main.py", description=main.__doc__)
    parser.add_argument("--settings", type=Path, required=True, help="written by `recloop deploy`")
    parser.add_argument("--check", action="store_true", help="only try whether the job can be declared")
    given = parser.parse_args()
    job = PlannedJob.of_file(given.settings)
    settings = job.settings
    env = environment(settings)
    build(env, settings, job.plan)
    if given.check:
        graph = env._j_stream_execution_environment.getStreamGraph(False)
        names = sorted(node.getOperatorName() for node in graph.getStreamNodes().toArray())
        graph.getJobGraph()
        print(json.dumps({"operators": names}))
        return
    env.execute(settings.job_name)
    # If the tables cannot be reached from here, their readers wait for the job's own sweep.
    with suppress(OSError):
        write_withdrawn(settings.tables.folder, settings.lists.withdrawn)


if __name__ == "__main__":
    main()

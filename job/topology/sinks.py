"""The sinks of rows: tables, exactly once, and Kafka topics, at least once.

Tables are JSON lines in folders by day and hour of writing. A file becomes visible when the checkpoint that holds its
rows completes. There is one small file per checkpoint and subtask; `recloop compact` merges them, apart from the job.
"""

from pathlib import Path

from pyflink.common import Encoder, Time, Types
from pyflink.datastream import AsyncDataStream, DataStream
from pyflink.datastream.connectors.file_system import BucketAssigner, FileSink, RollingPolicy

from job.topology.streams import step
from udfs.publishing.list_files import WriteLists
from udfs.publishing.publish import Publish


def write_table(rows: DataStream, table: str, folder: Path) -> None:
    """Write strings of one or more lines to FOLDER/TABLE/dt=.../hour=.../, UTC."""
    sink = (
        # as_uri() would not do: Flink takes the path literally, %3D stays %3D.
        FileSink.for_row_format(f"file://{folder.absolute() / table}", Encoder.simple_string_encoder())
        .with_rolling_policy(RollingPolicy.on_checkpoint_rolling_policy())
        .with_bucket_assigner(BucketAssigner.date_time_bucket_assigner("'dt='yyyy-MM-dd/'hour='HH", "UTC"))
        .build()
    )
    uid = f"write-{table.replace('_', '-')}"
    rows.sink_to(sink).uid(uid).name(uid)


def publish(rows: DataStream, function: Publish | None, in_flight: int, uid: str) -> None:
    """Publish strings of one or more lines; do nothing without a publisher.

    It runs in a chain of its own, so the operator before it goes on while records are acknowledged.
    """
    if function is not None:
        nothing = AsyncDataStream.unordered_wait(rows, function, Time.seconds(0), in_flight, Types.STRING())
        step(nothing, uid).start_new_chain()


def append_lists(lists: DataStream, function: WriteLists | None) -> None:
    """Append rows of recommendation_lists to the embedded lists log; do nothing without a writer.

    It runs in update-lists' chain and thread: a write to files waits for nobody.
    """
    if function is not None:
        step(lists.flat_map(function, Types.STRING()), "append-lists")

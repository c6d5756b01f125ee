"""Tables as Flink writes them: JSON lines in folders by day and hour of writing, exactly once.

A file is seen when the checkpoint that holds its rows completed. There is one small file a checkpoint and subtask;
`recloop compact` merges them, apart from the job.
"""

from pathlib import Path

from pyflink.common import Encoder
from pyflink.datastream import DataStream
from pyflink.datastream.connectors.file_system import BucketAssigner, FileSink, RollingPolicy


def write_table(rows: DataStream, table: str, folder: Path) -> None:
    """Writes strings of one or more lines to FOLDER/TABLE/dt=.../hour=.../, UTC."""
    sink = (
        # Not as_uri(): Flink takes the path literally, %3D stays %3D.
        FileSink.for_row_format(f"file://{folder.absolute() / table}", Encoder.simple_string_encoder())
        .with_rolling_policy(RollingPolicy.on_checkpoint_rolling_policy())
        .with_bucket_assigner(BucketAssigner.date_time_bucket_assigner("'dt='yyyy-MM-dd/'hour='HH", "UTC"))
        .build()
    )
    uid = f"write-{table.replace('_', '-')}"
    rows.sink_to(sink).uid(uid).name(uid)

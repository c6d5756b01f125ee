"""The writing of the table model_updates: a file for each decision, whole or not there, and the same however often."""

from datetime import UTC, datetime
from pathlib import Path

from job.tables.schema import MODEL_UPDATES
from model.files import replace_file, sync
from udfs.rows import ModelUpdateRow, to_lines


def write_update(tables_dir: Path, row: ModelUpdateRow) -> None:
    """Write a decision, in the folder of the hour of its writing; written again, it replaces itself."""
    hour = datetime.fromtimestamp(row.written_at // 1000, UTC)
    folder = tables_dir / MODEL_UPDATES.name / f"dt={hour:%Y-%m-%d}" / f"hour={hour:%H}"
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / f"learn-{row.model}-{row.decision_number}", to_lines([row]).encode() + b"\n")
    sync(folder)

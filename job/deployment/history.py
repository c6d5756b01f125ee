"""The history of a job's deployments: each intended step, recorded before it is done, and its outcome.

It is the file `JOB.history.jsonl` beside the settings of each deployment. The next deployment goes on from it, even if
the last one was killed at any of its lines. Earlier, `JOB.json` held the ids of the jobs; it is still read.
"""

import re
import time
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

import msgspec

from job.deployment.append_log import Json, append, fault_of, read
from job.deployment.submission import DeployError


class Step(StrEnum):
    """The step that a line of the history records.

    BEGUN: all is checked, code and settings are on disk. STOPPING: the old job is about to be ended. SAVEPOINT: the old
    job gave a savepoint. SUBMITTING: the new job, whose id is already known, is about to be submitted. CONFIRMED: all
    its tasks ran and a checkpoint was complete. FAILED: it was given up, and nothing of it counts.
    """

    BEGUN = "begun"
    STOPPING = "stopping"
    SAVEPOINT = "savepoint"
    SUBMITTING = "submitting"
    CONFIRMED = "confirmed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Shipped:
    """The files that a deployment was submitted with, so that it can be submitted again.

    Attributes:
        settings: the file with its settings.
        archive: the zip with its code.
        entry: the script that starts it.
    """

    settings: Path
    archive: Path
    entry: Path

    @property
    def files(self) -> tuple[Path, Path, Path]:
        """The three files."""
        return (self.settings, self.archive, self.entry)

    @property
    def is_there(self) -> bool:
        """True if all files still exist."""
        return all(file.is_file() for file in self.files)


@dataclass(frozen=True, slots=True)
class Submitted:
    """A deployment that came as far as to be submitted.

    Attributes:
        number: the deployment's number, which rises with every deployment.
        generation: the number that rises with every deployment that began anew.
        job_id: Flink's id.
        began_from: URI of the state it went on from; None if it began with empty state.
        at_ms: the time of submission, epoch milliseconds.
        shipped: its files.
        outcome: CONFIRMED or FAILED; SUBMITTING while it is unknown.
        again_of: number of the deployment whose code and settings it has again; None if they are its own.
    """

    number: int
    generation: int
    job_id: str
    began_from: str | None
    at_ms: int
    shipped: Shipped
    outcome: Step = Step.SUBMITTING
    again_of: int | None = None

    @property
    def original(self) -> int:
        """The number of the deployment that its code and settings are from."""
        return self.number if self.again_of is None else self.again_of


@dataclass(frozen=True, slots=True)
class Savepoint:
    """A savepoint that a job was stopped with."""

    job_id: str
    uri: str
    at_ms: int


class DeploymentHistory:
    """The deployments of one job name.

    Args:
        folder: the folder that records deployments.
        job_name: the job's name.

    Raises:
        DeployError: the file is broken, or a later recloop wrote it.
    """

    def __init__(self, folder: Path, job_name: str) -> None:
        self.file = folder / f"{job_name}.history.jsonl"
        self.legacy_ids: list[str] = []
        legacy = folder / f"{job_name}.json"
        try:
            if legacy.is_file():
                self.legacy_ids = msgspec.json.decode(legacy.read_bytes(), type=list[str])
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            what = f"{legacy}, the ids of the jobs deployed so far, is damaged ({error})"
            msg = f"{what}: remove it, and give recloop deploy --from URI"
            raise DeployError(msg) from error
        self._load()

    def _load(self) -> None:
        self._records = read(self.file)
        try:
            self.submitted = self._submitted()
            shipped = (_shipped(each) for each in self._records if each["step"] in (Step.BEGUN, Step.SUBMITTING))
            self.shipped = list(dict.fromkeys(shipped))
            self.savepoints = [
                Savepoint(each["job_id"], each["uri"], _ms(each["at"]))
                for each in self._records
                if each["step"] == Step.SAVEPOINT
            ]
            self.highest_number = max((int(each["number"]) for each in self._records), default=0)
            self.highest_generation = max((int(each["generation"]) for each in self._records), default=0)
        except (KeyError, TypeError, ValueError) as error:
            what = f"{self.file} is no history of deployments ({fault_of(error)})"
            msg = f"{what}: move it away, and give recloop deploy --from URI"
            raise DeployError(msg) from error

    @property
    def newest(self) -> Submitted | None:
        """The deployment that counts: the newest that did not fail."""
        return next((each for each in reversed(self.submitted) if each.outcome != Step.FAILED), None)

    def of_job(self, job_id: str) -> Submitted | None:
        """Return the newest deployment with a job's id, or None."""
        return next((each for each in reversed(self.submitted) if each.job_id == job_id), None)

    def of_number(self, number: int) -> Submitted | None:
        """Return the deployment with a number, or None."""
        return next((each for each in self.submitted if each.number == number), None)

    def of_state(self, uri: str) -> Submitted | None:
        """Return the newest deployment whose job made a state, by the job's id in its URI, or None."""
        made = (each for each in reversed(self.submitted) if each.job_id in uri or f"-{each.job_id[:6]}-" in uri)
        return next(made, None)

    def write(self, step: Step, number: int, generation: int, **fields: object) -> None:
        """Append one line; it is on disk when this returns."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        which = {"step": step, "number": number, "generation": generation}
        append(self.file, {"counter": len(self._records) + 1, "at": now, **which, **fields})
        self._load()

    def _submitted(self) -> list[Submitted]:
        found: dict[int, Submitted] = {}
        for each in self._records:
            step, number = Step(each["step"]), int(each["number"])
            if step == Step.SUBMITTING:
                found[number] = Submitted(
                    number=number,
                    generation=int(each["generation"]),
                    job_id=each["job_id"],
                    began_from=each["uri"],
                    at_ms=_ms(each["at"]),
                    shipped=_shipped(each),
                    again_of=each.get("again_of"),
                )
            elif step in (Step.CONFIRMED, Step.FAILED) and number in found:
                found[number] = replace(found[number], outcome=step)
        return list(found.values())


def _shipped(record: Json) -> Shipped:
    return Shipped(Path(record["settings"]), Path(record["archive"]), Path(record["entry"]))


def as_fields(shipped: Shipped) -> dict[str, object]:
    """Return the files by the names that a line of the history gives them."""
    return {name: str(file) for name, file in asdict(shipped).items()}


def legacy_shipped(folder: Path, job_name: str) -> Shipped | None:
    """Return the files submitted before there was a history: the newest settings and the code packed last, or None."""
    settings = newest_stamped(folder, job_name)
    archive = max((folder / "code").glob("recloop_*.zip"), key=lambda file: file.stat().st_mtime, default=None)
    if settings is None or archive is None:
        return None
    return Shipped(settings, archive, archive.with_name(f"{archive.stem}_main.py"))


def newest_stamped(folder: Path, job_name: str) -> Path | None:
    """Return the settings file of the newest deployment, by the time in its name, or None."""
    stamped = re.compile(rf"{re.escape(job_name)}-\d{{8}}-\d{{6}}(-\d+)?\.json")
    return max((file for file in folder.glob("*.json") if stamped.fullmatch(file.name)), default=None)


def settings_file(folder: Path, job_name: str, number: int) -> Path:
    """Return the path for the settings of a deployment; the time in it is UTC, the number is never reused."""
    return folder / f"{job_name}-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{number:06d}.json"


def _ms(at: str) -> int:
    return int(datetime.fromisoformat(at).timestamp() * 1000)

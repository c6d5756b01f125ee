"""A deployment's settings and plan: what its user set, and what `recloop deploy` resolved, in one file of two parts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct
from pydantic import ValidationError

from job.settings.given import SettingsError
from job.settings.job_settings import JobSettings
from job.settings.refusals import refusal
from udfs.attempt import EPOCHS_A_DEPLOYMENT

Number = Annotated[int, Meta(ge=0, le=2**63 // EPOCHS_A_DEPLOYMENT - 1)]
"""A deployment's number; epochs are counted within each, and a column of 64 bits holds them all."""

_DAMAGES = (OSError, ValueError, TypeError, AttributeError, RecursionError, msgspec.MsgspecError)
"""Errors from reading a file that is not there, no JSON, or JSON of another shape."""


class Slot(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The resources of one slot, which Flink cuts out of its TaskManager's."""

    cpu_cores: float
    task_heap_mb: int
    task_off_heap_mb: int = 0
    managed_mb: int = 0


class Slots(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The slots that scoring requests, and those that all else does."""

    gpu: Slot
    state: Slot


class JobPlan(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The results of a deployment that its job is declared with; they stay the same over all its restarts.

    Attributes:
        number: rises with every deployment of the job.
        generation: rises with every one that began anew, with empty state.
        start_offsets: where partition 0, 1, ... of a topic begin without state; others with their oldest record.
        bundle_hashes: variant -> the hash that its bundle must have; a variant that follows a pointer has none.
        slots: the requested slots; None if scoring shares them with all else.
    """

    number: Number = 0
    generation: Number = 0
    start_offsets: tuple[Annotated[int, Meta(ge=0)], ...] = ()
    bundle_hashes: dict[str, str] = {}
    slots: Slots | None = None


class _Parts(Struct, frozen=True, forbid_unknown_fields=True):
    settings: dict[str, Any]
    plan: JobPlan


@dataclass(frozen=True, slots=True)
class PlannedJob:
    """The settings, resolved, and the plan of a deployment: all that its job is declared from."""

    settings: JobSettings
    plan: JobPlan

    def to_file(self, path: Path) -> None:
        """Write both as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        parts = {"plan": self.plan, "settings": self.settings.model_dump(mode="json")}
        path.write_bytes(msgspec.json.format(msgspec.json.encode(parts), indent=2))

    @classmethod
    def of_file(cls, path: Path) -> "PlannedJob":
        """Return what `to_file` wrote, or an earlier release, whose settings held the plan.

        Raises:
            SettingsError: the file cannot be read, is broken, or is of a version with other settings.
        """
        try:
            content = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
            parts = msgspec.convert(content if "plan" in content else _parted(content), _Parts)
            return cls(JobSettings(**parts.settings), parts.plan)
        except ValidationError as error:
            problem = refusal(error, JobSettings).splitlines()[0]
        except _DAMAGES as error:
            problem = str(error)
        raise _unreadable(path, problem)


def renumbered(path: Path, *, number: int, generation: int) -> bytes:
    """Return a deployment's file, which may be an earlier release's, with the numbers of another deployment.

    Raises:
        SettingsError: the file cannot be read, or is broken.
    """
    try:
        parts = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        # An earlier release has the numbers among its settings, or knows none.
        for part in ("plan", "deployment"):
            if part in parts:
                parts[part] |= {"number": number, "generation": generation}
    except _DAMAGES as error:
        raise _unreadable(path, str(error)) from error
    return msgspec.json.format(msgspec.json.encode(parts), indent=2)


def _unreadable(path: Path, problem: str) -> SettingsError:
    return SettingsError(
        f"{path}, the settings of the last deployment, cannot be read ({problem}): mend the file, deploy with the "
        "recloop that wrote it, or begin anew with --fresh"
    )


def _parted(settings: dict[str, Any]) -> dict[str, Any]:
    """Take the plan out of the settings of an earlier release, as far as a later deployment goes on from it."""
    plan = dict(settings.pop("deployment", {}), start_offsets=settings.get("log", {}).pop("start_offsets", ()))
    variants = settings.get("models", {}).get("variants", {})
    for bundle in (settings.get("scoring", {}), *variants.values()):
        bundle.pop("bundle_hash", None)
    return {"plan": plan, "settings": settings}

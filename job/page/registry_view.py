"""The registry as the page shows it: each model's versions, the newest first, with their pointers and metrics."""

import math
from typing import Any

from model.bundles.manifest import BundleError
from model.registry.errors import RegistryError
from model.registry.pointers import CANDIDATE, CURRENT, Pointers
from model.registry.registry import Registry

_NOT_MEASURED = "–"


def read_registry(url: str) -> dict[str, Any]:
    """Return the registry's place and models, or the problem that hides them. It blocks."""
    try:
        registry = Registry(url)
        return {"place": registry.place, "models": [_model(registry, name) for name in registry.names()]}
    except RegistryError as error:
        return {"problem": str(error)}


def _model(registry: Registry, name: str) -> dict[str, Any]:
    try:
        pointers = registry.pointers(name)  # before the versions: what they name is then among these
    except RegistryError as error:
        return {"name": name, "problem": str(error), "previous": [], "versions": []}
    versions = [_version(registry, name, pointers, version) for version in reversed(registry.versions(name))]
    previous = [version.id for version in reversed(pointers.previous)]
    return {"name": name, "problem": None, "previous": previous[:3], "versions": versions}


def _version(registry: Registry, name: str, pointers: Pointers, version_id: str) -> dict[str, Any]:
    pointer = next((p for p in (CURRENT, CANDIDATE) if (v := pointers.named(p)) and v.id == version_id), None)
    row: dict[str, Any] = {"id": version_id, "pointer": pointer, "problem": None}
    try:
        manifest = registry.manifest(name, registry.find(name, pointer or version_id))
    except (BundleError, RegistryError) as error:
        return {**row, "problem": str(error)}
    return {
        **row,
        "recommender": manifest.recommender,
        "items": manifest.items,
        "made": manifest.created_at[:16].replace("T", " "),
        "hr": _figure(manifest.metrics.get("hr_10_known")),
        "ndcg": _figure(manifest.metrics.get("ndcg_10_known")),
    }


def _figure(value: float | None) -> str:
    return _NOT_MEASURED if value is None or not math.isfinite(value) else f"{value:.3f}"

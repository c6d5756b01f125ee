"""A registry's models on a real cluster: swapped under load, kept where the new one does not load, and A/B-tested."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from model.registry import Registry
from model.registry_pointers import Version

pytestmark = pytest.mark.cluster

NAME = "quick"
RATE = 200
EVENTS = 4_000
SWAP_S = 5.0


@dataclass(frozen=True, slots=True)
class Models:
    """A registry folder, and the versions in it; the first is current."""

    registry: Registry
    versions: list[Version]

    def settings(self, folder: Path) -> tuple[str, ...]:
        cache = f"models.cache={json.dumps(str(folder / 'cache'))}"
        return ("scoring.bundle=null", f"models.url={json.dumps(self.registry.place)}", f"models.name={NAME}", cache)

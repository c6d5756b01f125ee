"""What a deployment aims at: the settings that trade freshness against behaviours a second, under one name.

Their values lie below every other source of settings, so that each can still be given apart.
"""

from collections.abc import Mapping
from typing import Any, Literal

Aim = Literal["latency", "balanced", "throughput"]

AIMS: Mapping[str, Mapping[str, Any]] = {
    # An element goes on as soon as it is there; more bundles, and smaller calls of the model.
    "latency": {
        "log": {"poll_interval_ms": 2},
        "scoring": {"linger_ms": 0.0},
        "flink": {"bundle_time_ms": 1},
    },
    "balanced": {},
    # Elements gather more behaviours, and calls more histories; a checkpoint waits for twice as large a bundle.
    "throughput": {
        "log": {"poll_interval_ms": 50},
        "scoring": {"linger_ms": 5.0, "batch_max_size": 128},
        "flink": {"bundle_time_ms": 50, "bundle_size": 16},
    },
}


def values_of(aim: object) -> Mapping[str, Any]:
    """An aim's values; none of what is no aim: that is refused where all settings are."""
    return AIMS.get(aim, {}) if isinstance(aim, str) else {}

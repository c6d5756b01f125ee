"""Counts of the server's requests, and Prometheus's text of it and of the follower."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from starlette.types import Scope

from job.serving.follower import Follower
from job.serving.freshness import BOUNDS_MS

_BOUNDS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0)


class Meters:
    """Counts of requests by route and status, and their times."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, int]] = Counter()
        self.times = [0] * (len(_BOUNDS_S) + 1)
        self.seconds = 0.0
        self.appended = 0
        self.duplicates = 0

    def count(self, scope: Scope, status: int, seconds: float) -> None:
        """Count a request; its route, not its path, names it, so that ids make no names."""
        route = scope.get("route")
        name = "/page" if scope.get("root_path") else getattr(route, "path", "none")
        self.requests[name, status] += 1
        self.times[bisect_left(_BOUNDS_S, seconds)] += 1
        self.seconds += seconds


def metrics_text(meters: Meters, follower: Follower, now_ms: int) -> str:
    """Return all metrics in Prometheus's text format."""
    return "\n".join([*_requests(meters), *_followed(follower, now_ms)]) + "\n"


def _requests(meters: Meters) -> Iterator[str]:
    yield from _head("recloop_serve_requests_total", "counter", "requests answered, by route and status")
    for (route, status), count in sorted(meters.requests.items()):
        yield f'recloop_serve_requests_total{{route="{_quoted(route)}",status="{status}"}} {count}'
    yield from _histogram(
        "recloop_serve_request_seconds", "time to answer a request", _BOUNDS_S, meters.times, meters.seconds
    )
    yield from _single("recloop_serve_appended_total", "counter", "behaviours appended", meters.appended)
    yield from _single(
        "recloop_serve_duplicates_total", "counter", "behaviours not appended, as their event was", meters.duplicates
    )


def _followed(follower: Follower, now_ms: int) -> Iterator[str]:
    state = follower.state()
    yield from _single("recloop_serve_up", "gauge", "1 if nothing stops the follower", int(not state.problem))
    yield from _single("recloop_serve_behind", "gauge", "1 if more is there to be read at once", int(state.behind))
    yield from _single("recloop_serve_lists_total", "counter", "published lists read", state.lists)
    yield from _single("recloop_serve_behaviors_total", "counter", "behaviours read", state.behaviors)
    yield from _single("recloop_serve_bad_lists_total", "counter", "published records that were no lists", state.bad)
    age_s = -1.0 if state.read_at_ms is None else max(0, now_ms - state.read_at_ms) / 1000
    yield from _single("recloop_serve_read_age_seconds", "gauge", "time since all was read; -1 before that", age_s)
    fresh = follower.freshness
    bounds = [bound / 1000 for bound in BOUNDS_MS]
    name, text = "recloop_serve_freshness_seconds", "age of a behaviour when the list that has seen it can be read"
    yield from _histogram(name, text, bounds, fresh.counts, fresh.sum_ms / 1000)


def _single(name: str, kind: str, text: str, value: float) -> Iterator[str]:
    yield from _head(name, kind, text)
    yield f"{name} {value}"


def _histogram(name: str, text: str, bounds: Sequence[float], counts: Sequence[int], total: float) -> Iterator[str]:
    yield from _head(name, "histogram", text)
    below = 0
    for bound, count in zip((*bounds, "+Inf"), counts, strict=True):
        below += count
        yield f'{name}_bucket{{le="{bound}"}} {below}'
    yield f"{name}_sum {total:.6f}"
    yield f"{name}_count {below}"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP {name} {text}"
    yield f"# TYPE {name} {kind}"


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

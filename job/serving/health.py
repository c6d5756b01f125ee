"""The state of the server in a sentence, for probes and for the page."""

from job.serving.answers import Health
from job.serving.follower import FollowerState

_BEHIND_MS = 60_000
"""A follower that has not read everything for longer makes the server not ready."""


def health(state: FollowerState, now_ms: int) -> Health:
    """Return whether what is served is up to date, and if not, why, and what to do."""
    problem = state.problem or _behind(state, now_ms)
    return Health(
        ok=problem is None,
        problem=problem,
        lists=state.lists,
        behaviors=state.behaviors,
        behind=state.behind,
        silent_ms=state.silent_ms,
        read_at=state.read_at_ms,
    )


def _behind(state: FollowerState, now_ms: int) -> str | None:
    if state.read_at_ms is None:
        return "the published lists are being read for the first time"
    if now_ms - state.read_at_ms <= _BEHIND_MS:
        return None
    older = f"what is served is more than {_BEHIND_MS // 1000} s old"
    return f"{older}: lists are published faster than this server reads them"

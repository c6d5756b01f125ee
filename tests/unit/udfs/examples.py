"""Behaviours, records and scored behaviours with only what a test is about spelled out."""

from array import array
from collections.abc import Iterable

from udfs.elements import Candidates, LoggedBehavior, ScoredBehavior
from udfs.hashing import id_hash
from udfs.log.parsing import LogRecord

NOW_MS = 1_700_000_000_000


def record(raw: bytes, *, size: int | None = None) -> LogRecord:
    return LogRecord(3, 17, raw, len(raw) if size is None else size)


def behavior(
    item: str = "i1", action: str = "click", *, event: str | None = None, at: int = NOW_MS, user: str = "u"
) -> LoggedBehavior:
    return LoggedBehavior(user, action, item, at, event, None, None, 0, 0, None)


def hashes(*items: str) -> bytes:
    return b"".join(id_hash(item).to_bytes(8, "little", signed=True) for item in items)


def proposals(*items: str) -> Candidates:
    """Candidates, best first, a whole score apart."""
    return candidates(*((item, float(-rank), None) for rank, item in enumerate(items)))


def candidates(*rows: tuple[str, float, str | None]) -> Candidates:
    """Candidates of (item, score, because)."""
    scores = array("f", [score for _, score, _ in rows]).tobytes()
    return Candidates([item for item, _, _ in rows], scores, [because for _, _, because in rows])


NO_CANDIDATES = candidates()


def scored(
    candidates: Candidates | None = NO_CANDIDATES,
    *,
    seq: int = 1,
    did: LoggedBehavior | None = None,
    history: Iterable[str] = (),
    excluded: bytes = b"",
    shown: Iterable[tuple[int, float]] = (),
) -> ScoredBehavior:
    reason = "deadline" if candidates is None else None
    return ScoredBehavior(
        did or behavior("acted"), seq, hashes(*history), excluded, list(shown), candidates, reason, None, None
    )
